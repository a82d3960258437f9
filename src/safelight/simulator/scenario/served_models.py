"""Models of a scenario with their profiles: what workers report of them, and how long requests take."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from safelight.control.replica.config import MAX_DENOISER_ROWS
from safelight.core.errors import ProfileError, nearest
from safelight.core.level import Level
from safelight.core.model import ModelSpec, StepTime
from safelight.profiles.builtin import builtin_names, builtin_profile
from safelight.profiles.profile import READ_FORMATS, Profile
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.decoding import decode, parse_toml
from safelight.simulator.scenario.fleet import WorkerGroup
from safelight.simulator.scenario.models import ModelEntry
from safelight.simulator.scenario.request_kinds import Alone

GB = 1e9
ENDING = ".toml"


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model on the workers of one group.

    Attributes:
        profile: the truth about its times.
        spec: as the workers report it.
        weights_bytes: on the device; None if that is not known.
        given_quality: that the scenario gives, which counts instead of the profile's.
    """

    profile: Profile
    spec: ModelSpec
    weights_bytes: float | None
    given_quality: object = None

    @property
    def least_rows(self) -> int:
        """Denoiser rows of one picture as the model is guided by default."""
        return self.level(self.spec.steps, None).denoiser_rows

    @property
    def most_rows(self) -> int:
        """The most denoiser rows of a call whose seconds are known."""
        measured = max(time.denoiser_rows for time in self.profile.step_times)
        return MAX_DENOISER_ROWS if self.profile.extrapolates else measured

    def level(self, steps: int, guidance_scale: float | None) -> Level:
        """Return a level of the model."""
        return Level(
            model=self.spec.name,
            steps=steps,
            guidance_scale=self.spec.guidance_scale if guidance_scale is None else guidance_scale,
            guidance=self.spec.guidance,
            sampler=self.spec.sampler,
        )

    def solo_s(self, alone: Alone) -> float:
        """Return the seconds of a request alone on a worker, with its weights loaded; raises ProfileError.

        LoRAs run in the cheaper way: folded into the weights once, or beside them at each step.
        """
        level, (width, height) = self.level(alone.steps, alone.guidance_scale), alone.size
        tick_s = self.profile.tick_s(level.denoiser_rows, width=width, height=height)
        steps_s = alone.steps_to_run * tick_s
        if alone.has_loras and self.profile.adapter_costs is not None:
            costs = self.profile.adapter_costs
            steps_s += min(costs.switch_s, costs.unmerged_overhead * steps_s)
        if alone.controlnets:
            controlnet_s = self.profile.controlnet_s(level.denoiser_rows, width=width, height=height)
            steps_s += alone.steps_to_run * alone.controlnets * controlnet_s
        encode_s = self.profile.encoding_s(width=width, height=height, has_source=alone.has_source)
        return encode_s + steps_s + self.profile.decoding_s(width=width, height=height)


def served_models(models: Mapping[str, ModelEntry], group: WorkerGroup, *, folder: Path) -> dict[str, ServedModel]:
    """Return the models that a group serves.

    Args:
        models: of the scenario.
        group: of workers.
        folder: that paths of profiles are relative to.

    Raises:
        BadScenario: if a profile cannot be used.
    """
    served = {}
    for name in group.models:
        entry, place = models[name], f"models.{name}.profile"
        given = entry.profile
        if name in group.profiles:
            given, place = group.profiles[name], f"fleet {group.name!r}: profiles.{name}"
        profile = read_profile(given, folder=folder, place=place)
        memory = None if profile.memory is None else profile.memory.weights_bytes
        served[name] = ServedModel(
            profile=profile,
            spec=_spec(name, entry, profile, group.speed, place),
            weights_bytes=memory if entry.weights_bytes is None else entry.weights_bytes,
            given_quality=entry.quality,
        )
    return served


def rows_per_call(group: WorkerGroup, served: Mapping[str, ServedModel]) -> int:
    """Return how many denoiser rows a call of the group's workers may have."""
    if group.max_denoiser_rows is not None:
        return group.max_denoiser_rows
    return min(MAX_DENOISER_ROWS, *(model.most_rows for model in served.values()))


def check_memory(group: WorkerGroup, served: Mapping[str, ServedModel]) -> None:
    """Raise BadScenario if the weights of the group's models and a full call do not fit its devices."""
    weights = {name: model.weights_bytes for name, model in served.items() if model.weights_bytes is not None}
    if group.memory_bytes is not None and (unknown := [name for name in served if name not in weights]):
        raise BadScenario(
            "is missing, and the profile has no `memory`; give it, or leave out `memory_bytes` of "
            f"fleet {group.name!r}.",
            place=f"models.{unknown[0]}.weights_bytes",
        )
    memories = [model.profile.memory for model in served.values() if model.profile.memory is not None]
    rows = rows_per_call(group, served)
    call_bytes = max((memory.row_bytes * rows + memory.picture_bytes for memory in memories), default=0)
    needed = sum(weights.values()) + call_bytes
    if group.memory_bytes is not None and needed > group.memory_bytes:
        parts = [f"{size / GB:.3g} GB of {name}" for name, size in weights.items()]
        parts += [f"{call_bytes / GB:.3g} GB of a call"] if call_bytes else []
        raise BadScenario(
            f"is {group.memory_bytes / GB:.3g} GB, and its models need {needed / GB:.3g} GB: {' + '.join(parts)}.",
            place=f"fleet {group.name!r}: memory_bytes",
        )


def check_groups(served: Mapping[str, Mapping[str, ServedModel]]) -> None:
    """Raise BadScenario for a model whose pictures differ between groups of workers, by their profiles."""
    first: dict[str, tuple[str, ServedModel]] = {}
    for group, models in served.items():
        for name, model in models.items():
            other_group, other = first.setdefault(name, (group, model))
            for what in ("own size", "quality"):
                if _picture_of(model, what) != _picture_of(other, what):
                    raise BadScenario(
                        f"differ in the {what} of {name!r}, which must be one in all groups; give it under "
                        f"[models.{name}], or another model for one of them.",
                        place=f"profiles of fleet {other_group!r} and fleet {group!r}",
                    )


def _picture_of(model: ServedModel, what: str) -> object:
    if what == "own size":
        return model.spec.width, model.spec.height
    return model.given_quality or (model.profile.quality, model.profile.quality_metric, model.profile.similarity)


def check_points(
    group: WorkerGroup,
    served: Mapping[str, ServedModel],
    sizes: Mapping[str, set[tuple[int, int]]],
    *,
    steered: Collection[str],
) -> None:
    """Raise BadScenario if the profiles lack a call that may happen.

    Args:
        group: of workers.
        served: its models.
        sizes: that requests of each model may have, in pixels.
        steered: models that have ControlNets.
    """
    most = rows_per_call(group, served)
    for name, model in served.items():
        if model.least_rows > most:
            raise BadScenario(
                f"is {most}, and one picture of {name!r} takes {model.least_rows} rows.",
                place=f"fleet {group.name!r}: max_denoiser_rows",
            )
        for width, height in sorted(sizes.get(name, ())):
            try:
                for rows in (model.least_rows, most):
                    model.profile.tick_s(rows, width=width, height=height)
                model.profile.decoding_s(width=width, height=height)
                if name in steered:
                    for rows in (model.least_rows, most):
                        model.profile.controlnet_s(rows, width=width, height=height)
            except ProfileError as error:
                raise BadScenario(f": {error}", place=f"fleet {group.name!r}") from error


def read_profile(given: str | dict[str, Any], *, folder: Path, place: str) -> Profile:
    """Return a profile: of a file, a built-in one, or one that is written in the scenario.

    Raises:
        BadScenario: if there is none, or it cannot be used.
    """
    try:
        if isinstance(given, dict):
            return _checked(given, place)
        if given in builtin_names():
            return builtin_profile(given)
        return _checked(parse_toml((folder / given).read_text(encoding="utf-8")), "")
    except FileNotFoundError as error:
        known = [*builtin_names(), *(file.name for file in folder.glob(f"*{ENDING}"))]
        raise BadScenario(
            f"is {given!r}, and neither a file beside the scenario nor a built-in profile is called so; "
            f"{nearest(str(given), known)}",
            place=place,
        ) from error
    except OSError as error:
        raise BadScenario(f"is {given!r}, which cannot be read: {error.strerror or error}.", place=place) from error
    except UnicodeDecodeError as error:
        raise BadScenario(f"is {given!r}, which is not a text in UTF-8.", place=place) from error
    except BadScenario as error:
        if isinstance(given, dict):
            raise
        raise BadScenario(f"is {given!r}: {error}", place=place) from error


def _checked(raw: dict[str, Any], place: str) -> Profile:
    """Return the profile of some tables; raises BadScenario."""
    if raw.get("format", READ_FORMATS[-1]) in READ_FORMATS:
        decode({name: value for name, value in raw.items() if name != "format"}, Profile, place=place)
    try:
        return Profile.from_toml(msgspec.toml.encode(raw).decode())
    except ProfileError as error:
        raise BadScenario(f": {error}" if place else str(error), place=place) from error


def _spec(name: str, entry: ModelEntry, profile: Profile, speed: float, place: str) -> ModelSpec:
    """Return what a worker measures of the model at its own size when it starts; raises BadScenario."""
    width, height = entry.width or profile.width, entry.height or profile.height
    try:
        times = tuple(
            StepTime(
                denoiser_rows=time.denoiser_rows,
                seconds=profile.tick_s(time.denoiser_rows, width=width, height=height) / speed,
            )
            for time in profile.step_times
        )
        decode_s = profile.decoding_s(width=width, height=height)
        picture_s = 0.0 if profile.encode_picture_s is None else profile.start_picture_s(width=width, height=height)
    except ProfileError as error:
        raise BadScenario(f": {error}", place=place) from error
    costs = profile.adapter_costs
    return ModelSpec(
        name=name,
        family=entry.family,
        width=width,
        height=height,
        size_multiple=entry.size_multiple,
        max_side=entry.max_side or 4 * max(width, height),
        steps=entry.steps,
        guidance_scale=entry.guidance_scale,
        sampler=entry.sampler,
        samplers=entry.samplers or (entry.sampler,),
        step_times=times,
        encode_s=profile.encode_s / speed,
        decode_s=decode_s / speed,
        encode_picture_s=picture_s / speed,
        guidance=entry.guidance,
        adapter_costs=None if costs is None else msgspec.structs.replace(costs, switch_s=costs.switch_s / speed),
        mixes_sizes=profile.mixes_sizes,
    )
