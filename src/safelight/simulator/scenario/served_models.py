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
from safelight.simulator.scenario.fleet import WorkerGroup
from safelight.simulator.scenario.models import ModelEntry

ENDING = ".toml"


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
        entry = models[name]
        given = group.profiles.get(name, entry.profile)
        place = f"models.{name}.profile" if name not in group.profiles else f"fleet {group.name!r}: profiles.{name}"
        profile = read_profile(given, folder=folder, place=place)
        served[name] = ServedModel(profile=profile, spec=_spec(name, entry, profile))
    return served


def read_profile(given: str | dict[str, Any], *, folder: Path, place: str) -> Profile:
    """Return a profile: of a file, a built-in one, or one that is written in the scenario; raises BadScenario."""
    try:
        if isinstance(given, dict):
            return Profile.from_toml(msgspec.toml.encode(given).decode())
        return Profile.from_toml((folder / given).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadScenario(f"is {given!r}; there is no such file beside the scenario.", place=place) from error
    except OSError as error:
        raise BadScenario(f"is {given!r}, which cannot be read: {error.strerror or error}.", place=place) from error
    except (ProfileError, UnicodeDecodeError) as error:
        raise BadScenario(f": {error}", place=place) from error


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
