"""Profiles that come with the package: published measurements, restated with their sources."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import msgspec

from safelight.core.errors import ProfileError, nearest
from safelight.profiles.parts import Curve
from safelight.profiles.profile import Profile

_SUFFIX: Final = ".toml"


def builtin_names() -> tuple[str, ...]:
    """Return the names of all profiles that come with the package, sorted."""
    return tuple(sorted(_files()))


def builtin_profile(name: str) -> Profile:
    """Return a profile that comes with the package, such as `sdxl-h800`; raises ProfileError if there is none."""
    known = _files()
    if name not in known:
        raise ProfileError(f"No built-in profile is called {name!r}; {nearest(name, tuple(sorted(known)))}")
    return _read(name)


class LoadQuantiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Load times of a production service: seconds by quantile."""

    source: str
    base_model: Curve
    lora: Curve
    controlnet: Curve


def production_loads() -> LoadQuantiles:
    """Return the load times of GenTD26 (Lin et al., SoCC 2025)."""
    text = files("safelight.profiles").joinpath("published", "loads-gentd26.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=LoadQuantiles)


@cache
def _read(name: str) -> Profile:
    return Profile.from_toml(_files()[name].read_text(encoding="utf-8"))


@cache
def _files() -> Mapping[str, Traversable]:
    folder = files("safelight.profiles").joinpath("published", "models")
    return {file.name.removesuffix(_SUFFIX): file for file in folder.iterdir() if file.name.endswith(_SUFFIX)}
