"""A folder of earlier pictures: one safetensors file each, written whole or not at all, checked when it is read.

Its file `safelight-reuse.json` says that it is one. The name of a picture's file ends in a digest of its content.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from safelight.core.errors import CannotServe, LatentsFileError
from safelight.latents.entry import Entry
from safelight.service.reuse.kept_picture import LARGEST_HEADER_BYTES, KeptPicture, entry_of, from_file, to_file

MARKER: Final = "safelight-reuse.json"
SUFFIX: Final = ".safetensors"
DAMAGED: Final = ".damaged"
UNFINISHED: Final = ".part"
FORMAT: Final = 1
DIGEST_CHARACTERS: Final = 32


class _Marker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str = "safelight reuse cache"
    format: int = FORMAT


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What lies in a folder: the entries, and how many files were set aside as damaged."""

    entries: tuple[Entry, ...]
    damaged: int


@dataclass
class CacheFolder:
    """The pictures in one folder; every method may block, and raise OSError."""

    path: Path
    _files: dict[str, Path] = field(default_factory=dict)

    def scan(self) -> Scan:
        """Find what earlier runs have written; unfinished files are removed, and damaged ones are renamed."""
        entries: list[Entry] = []
        damaged = 0
        for file in sorted(self.path.iterdir()):
            if file.suffix == UNFINISHED:
                file.unlink(missing_ok=True)
            elif file.suffix == SUFFIX:
                entry = self._noted(file)
                damaged += entry is None
                entries += [] if entry is None else [entry]
        return Scan(entries=tuple(entries), damaged=damaged)

    def write(self, kept: KeptPicture) -> None:
        """Write a picture: its file is there as a whole or not at all, also after a crash."""
        content = to_file(kept)
        target = self.path / f"{kept.entry.id}-{_digest(content)}{SUFFIX}"
        part = target.with_suffix(UNFINISHED)
        try:
            with os.fdopen(_private(part), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        self._files[kept.entry.id] = target

    def read(self, entry_id: str) -> KeptPicture:
        """Return a picture.

        Raises:
            LatentsFileError: if it is not here, or damaged; a damaged file is renamed.
        """
        path = self._files.get(entry_id)
        if path is None:
            raise LatentsFileError(f"{entry_id!r} is not in the folder")
        content = path.read_bytes()
        try:
            return _checked(content, path)
        except LatentsFileError:
            self._set_aside(path)
            self._files.pop(entry_id, None)
            raise

    def remove(self, entry_id: str) -> None:
        """Delete a picture; unknown ones are ignored."""
        path = self._files.pop(entry_id, None)
        if path is not None:
            path.unlink(missing_ok=True)

    def _noted(self, file: Path) -> Entry | None:
        try:
            with file.open("rb") as opened:
                entry = entry_of(opened.read(LARGEST_HEADER_BYTES + 8))
        except LatentsFileError:
            self._set_aside(file)
            return None
        if not file.name.startswith(f"{entry.id}-"):
            self._set_aside(file)
            return None
        self._files[entry.id] = file
        return entry

    def _set_aside(self, file: Path) -> None:
        with contextlib.suppress(OSError):
            file.replace(file.with_suffix(DAMAGED))


def open_folder(path: Path) -> CacheFolder:
    """Return the cache in a folder, which is made if it is absent, and marked if it is empty.

    Raises:
        CannotServe: if it cannot be written, or holds anything but a cache of this format.
    """
    with _explained(path):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        marker = path / MARKER
        if not marker.exists():
            if any(path.iterdir()):
                raise CannotServe(
                    f"The folder {str(path)!r} is not empty and no reuse cache; give --reuse-dir an empty one."
                )
            marker.write_bytes(msgspec.json.encode(_Marker()))
        try:
            found = msgspec.json.decode(marker.read_bytes(), type=_Marker)
        except msgspec.MsgspecError:
            found = None
        if found != _Marker():
            raise CannotServe(
                f"The file {str(marker)!r} is damaged, or of another version; move the folder away, or give another "
                "one to --reuse-dir."
            )
        (path / f"check{UNFINISHED}").write_bytes(b"")
        (path / f"check{UNFINISHED}").unlink()
    return CacheFolder(path)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotServe(f"The reuse cache {str(path)!r} cannot be used: {error.strerror or error}.") from error


def _private(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def _checked(content: bytes, path: Path) -> KeptPicture:
    if not path.stem.endswith(f"-{_digest(content)}"):
        raise LatentsFileError("its content does not fit the digest in its name")
    return from_file(content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]
