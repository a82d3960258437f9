"""Models of a scenario with their profiles: what workers report of them, and how long requests take."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from safelight.core.errors import ProfileError
from safelight.core.level import Level
from safelight.core.model import ModelSpec
from safelight.profiles.profile import Profile
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.decoding import decode, parse_toml
from safelight.simulator.scenario.fleet import WorkerGroup
from safelight.simulator.scenario.models import ModelEntry

GB = 1e9


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model on the workers of one group.

    Attributes:
        profile: the truth about its times.
        spec: as the workers report it.
    """

    profile: Profile
    spec: ModelSpec


def served_models(models: Mapping[str, ModelEntry], group: WorkerGroup, *, folder: Path) -> dict[str, ServedModel]:
    """Return the models that a group serves.

    Args:
        models: of the scenario.
        group: of workers.
        folder: that paths of profiles are relative to.

    Raises:
        BadScenario: if a profile cannot be used, or the weights do not fit the device.
    """
    served = {}
    for name in group.models:
        entry, place = models[name], f"models.{name}.profile"
        given = entry.profile
        if name in group.profiles:
            given, place = group.profiles[name], f"fleet {group.name!r}: profiles.{name}"
        profile = read_profile(given, folder=folder, place=place)
        served[name] = ServedModel(profile=profile, spec=_spec(name, entry, profile))
    _check_memory(models, group)
    return served


def read_profile(given: str | dict[str, Any], *, folder: Path, place: str) -> Profile:
    """Return a profile: of a file, or one that is written in the scenario.

    Raises:
        BadScenario: if there is none, or it cannot be used.
    """
    try:
        if isinstance(given, dict):
            return _checked(given, place)
        return _checked(parse_toml((folder / given).read_text(encoding="utf-8")), "")
    except FileNotFoundError as error:
        raise BadScenario(f"is {given!r}; there is no such file beside the scenario.", place=place) from error
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
    decode(raw, Profile, place=place)
    try:
        return Profile.from_toml(msgspec.toml.encode(raw).decode())
    except ProfileError as error:
        raise BadScenario(f": {error}" if place else str(error), place=place) from error


def _check_memory(models: Mapping[str, ModelEntry], group: WorkerGroup) -> None:
    """Raise BadScenario if the weights of the group's models do not fit its devices."""
    weights = {name: models[name].weights_bytes for name in group.models}
    needed = sum(size for size in weights.values() if size is not None)
    if group.memory_bytes is not None and needed > group.memory_bytes:
        parts = " + ".join(f"{size / GB:.3g} GB of {name}" for name, size in weights.items() if size is not None)
        raise BadScenario(
            f"is {group.memory_bytes / GB:.3g} GB, and the weights of its models need {needed / GB:.3g} GB: {parts}.",
            place=f"fleet {group.name!r}: memory_bytes",
        )


def solo_s(served: ServedModel, level: Level, *, width: int, height: int) -> float:
    """Return the seconds of a request alone on a worker, with its weights loaded."""
    profile = served.profile
    tick_s = profile.tick_s(level.denoiser_rows, width=width, height=height)
    outside_s = profile.encoding_s(width=width, height=height, has_source=False) + profile.decoding_s(
        width=width, height=height
    )
    return outside_s + level.steps_to_run * tick_s


def _spec(name: str, entry: ModelEntry, profile: Profile) -> ModelSpec:
    width, height = entry.width or profile.width, entry.height or profile.height
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
        step_times=profile.step_times,
        encode_s=profile.encode_s,
        decode_s=profile.decode_s,
        encode_picture_s=profile.encode_picture_s,
        guidance=entry.guidance,
        adapter_costs=profile.adapter_costs,
    )
