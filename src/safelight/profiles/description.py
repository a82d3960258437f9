"""What a profile says, in words: one line for each group of figures."""

from collections.abc import Iterator, Sequence
from itertools import chain

from safelight.core.model import StepTime
from safelight.profiles.parts import Curve, LoadTime, LoadTimes
from safelight.profiles.profile import Profile

NOT_MEASURED = "not measured"


def facts_of(profile: Profile) -> list[tuple[str, str]]:
    """Return names and texts of all figures of a profile; what it lacks is `not measured`."""
    return list(chain(_identity(profile), _times(profile), _adapters(profile), _bytes(profile), _qualities(profile)))


def _identity(profile: Profile) -> Iterator[tuple[str, str]]:
    yield "model", profile.model
    yield "device", profile.device or NOT_MEASURED
    yield "source", profile.source or "unknown"
    yield "size", f"{profile.width}x{profile.height}"
    beyond = "estimated" if profile.extrapolates else "refused"
    yield "beyond measured points", beyond


def _times(profile: Profile) -> Iterator[tuple[str, str]]:
    yield "denoiser call", _calls(profile.step_times)
    for size in profile.sizes:
        yield f"  at {size.width}x{size.height}", _calls(size.step_times)
    yield "encode a prompt", _ms(profile.encode_s)
    yield "encode a picture", NOT_MEASURED if profile.encode_picture_s is None else _ms(profile.encode_picture_s)
    yield "decode a picture", _ms(profile.decode_s)
    yield "encode so many at once", _batch(profile.encode_batch)
    yield "decode so many at once", _batch(profile.decode_batch)
    yield "ControlNet, in a call", _calls(profile.controlnet_times)
    spread = profile.spread
    parts = {"step": spread.step, "encode": spread.encode, "decode": spread.decode, "load": spread.load}
    yield "spread", ", ".join(f"{name} {share:.1%}" for name, share in parts.items() if share) or NOT_MEASURED


def _adapters(profile: Profile) -> Iterator[tuple[str, str]]:
    costs = profile.adapter_costs
    if costs is None:
        yield "LoRAs", NOT_MEASURED
    else:
        yield "fold LoRAs", _ms(costs.switch_s)
        yield "unfold LoRAs", _ms(costs.switch_s if profile.restore_s is None else profile.restore_s)
        yield "unmerged overhead", f"{costs.unmerged_overhead:.1%} of a row's share"
        yield "correction overhead", f"{costs.correction_overhead:.1%} of a row's share"
    yield "load an adapter", _loads(profile.loads)
    yield "load the model", _loads(profile.model_loads)


def _bytes(profile: Profile) -> Iterator[tuple[str, str]]:
    memory = profile.memory
    if memory is None:
        yield "memory", NOT_MEASURED
        return
    parts = {"weights": memory.weights_bytes, "a row": memory.row_bytes, "a decoded picture": memory.picture_bytes}
    yield "memory", ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in parts.items() if size)


def _qualities(profile: Profile) -> Iterator[tuple[str, str]]:
    yield "quality is", profile.quality_metric or NOT_MEASURED
    for level in profile.quality:
        start = f" from step {level.first_step}" if level.first_step else ""
        yield f"  {level.steps} steps{start}", f"{level.quality:g}"
    if profile.mix_quality:
        yield "quality by light share", _curve(profile.mix_quality)
    if profile.deferral:
        yield "deferral by threshold", _curve(profile.deferral)
    for each in profile.similarity:
        yield f"  {each.steps} steps from {each.first_step}, by similarity", _curve(each.curve)


def _calls(times: Sequence[StepTime]) -> str:
    ordered = sorted(times, key=lambda time: time.denoiser_rows)
    return ", ".join(f"{time.denoiser_rows} rows {_ms(time.seconds)}" for time in ordered) or NOT_MEASURED


def _batch(curve: Curve) -> str:
    return ", ".join(f"{count:g} {_ms(seconds)}" for count, seconds in curve) or NOT_MEASURED


def _loads(loads: LoadTimes) -> str:
    tiers: dict[str, LoadTime] = {"remote": loads.remote, "disk": loads.disk, "host": loads.host}
    return ", ".join(f"from {name} {_load(cost)}" for name, cost in tiers.items() if cost != LoadTime()) or NOT_MEASURED


def _load(cost: LoadTime) -> str:
    constant = _ms(cost.constant_s) if cost.constant_s else ""
    moved = f"{1 / cost.s_per_byte / 1e9:,.2f} GB/s" if cost.s_per_byte else ""
    return " and ".join(filter(None, (constant, moved)))


def _curve(curve: Curve) -> str:
    return ", ".join(f"{place:g}: {value:g}" for place, value in curve)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.2f} ms"
