"""Folders of adapters: an adapter is a folder NAME or a file NAME.safetensors."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from safelight.core.errors import AdapterFileError

WEIGHTS_SUFFIX = ".safetensors"
KEPT_SUFFIXES = frozenset({WEIGHTS_SUFFIX, ".json"})


def find_adapters(folders: Sequence[Path]) -> Mapping[str, Path]:
    """Return the adapters in `folders` by name: PEFT folders and safetensors files; earlier folders take precedence."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            is_file = path.suffix == WEIGHTS_SUFFIX
            if (is_file or path.is_dir()) and not path.name.startswith("."):
                found.setdefault(path.stem if is_file else path.name, path)
    return found


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the weights and settings files of the adapter at `path`.

    Raises:
        AdapterFileError: if it has no weights, or a symbolic link anywhere in it.
    """
    files = tuple(_walk(path))
    kept = files if files == (path,) else tuple(file for file in files if file.suffix in KEPT_SUFFIXES)
    if not any(file.suffix == WEIGHTS_SUFFIX for file in kept):
        raise AdapterFileError(f"{str(path)!r} holds no {WEIGHTS_SUFFIX} file; an adapter's weights are in one.")
    return kept


def copy_adapter(name: str, source: Path, folder: Path) -> Path:
    """Copy the adapter at `source` into `folder`, atomically; returns the path of the copy.

    Raises:
        AdapterFileError: as `files_of`; then nothing is written.
    """
    files = files_of(source)
    goal = folder / (name if source.is_dir() else f"{name}{WEIGHTS_SUFFIX}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as unfinished:
        copy = Path(unfinished) / goal.name
        for file in files:
            part = copy / file.relative_to(source)
            part.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, part)
        copy.rename(goal)
    return goal


def delete_adapter(path: Path) -> None:
    """Move the adapter at `path` out of its folder, then delete it; links are not followed."""
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as condemned:
        path.rename(Path(condemned) / path.name)


def _walk(path: Path) -> Iterator[Path]:
    """Yield the files at or below `path`, in order."""
    if path.is_symlink():
        raise AdapterFileError(
            f"{str(path)!r} is a symbolic link, and Safelight follows none; copy the file itself, for instance "
            "with `cp -L`."
        )
    if not path.is_dir():
        yield path
        return
    for entry in sorted(path.iterdir()):
        yield from _walk(entry)
