"""Folders of the models and adapters that are known by name."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from safelight.core.errors import RequestError, nearest, shorten

SHIPPED_MODELS = Path(__file__).parent.parent / "models"
SHIPPED_ADAPTERS = SHIPPED_MODELS / "adapters"
AUTO = "shapes-auto"
"""The cascade of the shipped models, which comes along when both are served."""

SHIPPED_GATE = SHIPPED_MODELS / "gates" / "shapes.safetensors"

SHIPPED_LEVELS = SHIPPED_MODELS / "levels"


def shipped_level_files() -> tuple[Path, ...]:
    """Return the level predictors that come with the package."""
    return tuple(sorted(SHIPPED_LEVELS.glob("*.safetensors")))


def shipped_levels(model: str) -> Path:
    """Return the level predictor that comes with the package for a model; there is none if the file is missing."""
    return SHIPPED_LEVELS / f"{Path(model).name}.safetensors"


def shipped_models() -> Mapping[str, Path]:
    """Return the models that come with the package by name, the best one first."""
    return {index.parent.name: index.parent for index in sorted(SHIPPED_MODELS.glob("*/model_index.json"))}


def model_folders(models: Sequence[str] | None) -> list[Path]:
    """Return a folder for each model named, by default for every shipped one.

    Raises:
        RequestError: if there is no such model.
    """
    shipped = shipped_models()
    if not models:
        if not shipped:
            raise RequestError("This copy of Safelight came without models; name a diffusers folder with --model DIR.")
        return list(shipped.values())
    for model in models:
        if model not in shipped and not Path(model).is_dir():
            raise RequestError(f"No model or folder is called {shorten(model)}; {nearest(model, tuple(shipped))}")
    return [shipped.get(model, Path(model)) for model in models]


def own_adapters() -> Path:
    """Return the folder where the user's adapters are kept; it need not be there yet."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Path(os.environ.get("SAFELIGHT_ADAPTERS") or data / "safelight" / "adapters")


def adapter_folders(further: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return where adapters are looked for: in `further` folders first, then among the user's own ones.

    Raises:
        RequestError: if a further folder is none.
    """
    for folder in further:
        if not folder.is_dir():
            raise RequestError(f"There is no folder {shorten(str(folder))} to find adapters in.")
    return (*further, own_adapters(), SHIPPED_ADAPTERS)
