"""Opening a diffusers folder safely: named classes, safetensors files, nothing else."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from safelight.core.errors import ModelFolderError

INDEX = "model_index.json"
SETTINGS = "safelight.json"
LARGEST_JSON_BYTES = 16 << 20
SAMPLED_BYTES = 64 << 10
"""Of the beginning and the end of each file of weights: enough to distinguish files."""


def read_index(folder: Path, *, allowed: Mapping[str, frozenset[str | None]]) -> Mapping[str, Any]:
    """Return the folder's model index after checking that every part is of an allowed class.

    Raises:
        ModelFolderError: if the folder or its index is missing, broken, or names another class.
    """
    if not folder.is_dir():
        raise ModelFolderError(f"There is no model folder {str(folder)!r}; name a folder that holds {INDEX}.")
    index = read_json(folder / INDEX)
    for part, classes in allowed.items():
        name = class_in(index, part)
        if name not in classes:
            raise ModelFolderError(
                f"{str(folder / INDEX)!r} has {part} of class {name!r}; "
                f"Safelight serves {', '.join(sorted(map(str, classes)))}."
            )
    return index


def class_in(index: Mapping[str, Any], part: str) -> str | None:
    """Return the class that a model index names for a part, or None where there is no such part."""
    named = index.get(part)
    last: object = named[-1] if isinstance(named, list) and named else named
    return None if last is None else str(last)


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`.

    Raises:
        ModelFolderError: if there is none.
    """
    try:
        if path.stat().st_size > LARGEST_JSON_BYTES:
            raise ModelFolderError(f"{str(path)!r} is larger than {LARGEST_JSON_BYTES} bytes; that is no model config.")
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFolderError(f"{str(path)!r} is missing; is this a diffusers model folder?") from None
    except (OSError, ValueError) as error:
        raise ModelFolderError(f"{str(path)!r} cannot be read as JSON: {error}") from None
    if not isinstance(value, dict):
        raise ModelFolderError(f"{str(path)!r} does not hold a JSON object.")
    return value


def check_weights(folder: Path) -> None:
    """Make sure that `folder` holds whole safetensors files.

    Raises:
        ModelFolderError: naming the file that is missing or damaged.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelFolderError(
            f"{str(folder)!r} holds no .safetensors file; Safelight reads no other weights. "
            "Convert the model with `save_pretrained(..., safe_serialization=True)`."
        )
    for file in files:
        try:
            with safe_open(file, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise ModelFolderError(
                f"The weights file {str(file)!r} is damaged or cut short ({error}); fetch it again."
            ) from None


def has_numbers(folder: Path, tensor: str) -> bool:
    """Return whether a tensor among the weights in `folder` has any number but zero; so has one that is missing.

    Raises:
        ModelFolderError: as `check_weights`.
    """
    check_weights(folder)
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as weights:
            if tensor in weights.keys():  # noqa: SIM118 - it is no mapping
                return bool(weights.get_tensor(tensor).any())
    return True


def fingerprint(folder: Path) -> str:
    """Return a name for the weights below `folder`, by the sizes, beginnings and ends of their files."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.safetensors")):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder).as_posix()}\0{size}\0".encode())
        with file.open("rb") as weights:
            digest.update(weights.read(SAMPLED_BYTES))
            weights.seek(max(0, size - SAMPLED_BYTES))
            digest.update(weights.read(SAMPLED_BYTES))
    return digest.hexdigest()


@contextmanager
def explaining(folder: Path) -> Iterator[None]:
    """Turn whatever a library raises while it loads `folder` into a `ModelFolderError`."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelFolderError(f"The model part {str(folder)!r} cannot be loaded: {error}") from error
