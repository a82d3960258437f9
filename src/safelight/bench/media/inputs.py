"""Pictures and videos that requests start from; each file is read once, before the load starts."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from safelight.bench.errors import BadLoad
from safelight.bench.media.file_types import KINDS, file_type_of
from safelight.core.errors import shorten

MOST_BYTES = 1 << 30
"""Limit of all files of a dataset together."""

InputKind = Literal["picture", "video", "address"]

TAKEN = {"image/png", "image/jpeg", "image/webp", "video/mp4", "video/quicktime"}
ENDINGS = {kind.media_type: kind.ending for kind in KINDS.values()}
ADDRESSES = ("http://", "https://")


@dataclass(frozen=True, kw_only=True, eq=False)
class Input:
    """A picture or video that requests start from.

    Attributes:
        name: the file's path, a `data:` URL, or an address from which the server fetches it.
        media_type: by its content; "" for an address.
        content: the file's bytes; none for an address.
    """

    name: str
    media_type: str = ""
    content: bytes = field(default=b"", repr=False)

    @property
    def kind(self) -> InputKind:
        """How endpoints classify it."""
        if not self.media_type:
            return "address"
        return "video" if self.media_type.startswith("video/") else "picture"

    @property
    def ending(self) -> str:
        """The file name extension; an address has none."""
        return ENDINGS[self.media_type]

    @cached_property
    def url(self) -> str:
        """Its text in JSON: an address unchanged, a file as a `data:` URL."""
        if self.kind == "address":
            return self.name
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"


def input_of(content: bytes, name: str) -> Input | None:
    """Return the bytes of a file as an input; None if no endpoint takes such a file."""
    kind = file_type_of(content)
    if kind is None or kind.media_type not in TAKEN:
        return None
    return Input(name=name, media_type=kind.media_type, content=content)


class _Unfit(Exception):
    """An input cannot be used; the message is the end of a sentence."""


@dataclass(kw_only=True)
class InputReader:
    """Reads inputs by their names; requests that name the same file share it.

    Attributes:
        most_bytes: limit of all files together.
    """

    most_bytes: int = MOST_BYTES
    _named: dict[tuple[Path, str], Input] = field(default_factory=dict)
    _files: dict[Path, Input] = field(default_factory=dict)
    _held_bytes: int = 0

    def read(self, names: Sequence[str], *, folder: Path, location: str) -> tuple[Input, ...]:
        """Return the inputs of these names.

        Args:
            names: URLs, or paths relative to `folder` or, if there is no such file, to the working directory.
            folder: of the dataset.
            location: in the dataset, such as "line 3 of t.jsonl", for errors.

        Raises:
            BadLoad: if an input does not exist, cannot be used, or exceeds the limit.
        """
        return tuple(self._input(name, folder, location) for name in names)

    def _input(self, name: str, folder: Path, location: str) -> Input:
        found = self._named.get((folder, name))
        if found is None:
            try:
                found = self._named[folder, name] = self._found(name, folder)
            except _Unfit as why:
                raise BadLoad(f"{location} names {shorten(name)}, {why}.") from None
        return found

    def _found(self, name: str, folder: Path) -> Input:
        if name.startswith("data:"):
            return self._kept(_decoded(name), name)
        if name.startswith(ADDRESSES):
            return _address(name)
        path = _path(name, folder)
        if path not in self._files:
            self._files[path] = self._kept(self._read(path), str(path))
        return self._files[path]

    def _read(self, path: Path) -> bytes:
        try:
            self._check_room(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise _Unfit(f"which cannot be read: {error.strerror or error}") from None

    def _kept(self, content: bytes, name: str) -> Input:
        self._check_room(len(content))
        found = input_of(content, name)
        if found is None:
            raise _Unfit(
                f"which is no PNG, JPEG or WebP picture and no MP4 video: it begins with {shorten(content[:16])}"
            )
        self._held_bytes += len(content)
        return found

    def _check_room(self, added_bytes: int) -> None:
        if self._held_bytes + added_bytes > self.most_bytes:
            raise _Unfit(
                f"with which all pictures and videos have more than {self.most_bytes:,} bytes; "
                "name smaller or fewer files, or send fewer requests with --num-prompts"
            )


def _path(name: str, folder: Path) -> Path:
    """Return the resolved path of a file."""
    for location in (folder / name, Path(name)):
        try:
            if location.is_file():
                return location.resolve()
        except (OSError, ValueError):
            continue
    where = "" if Path(name).is_absolute() else f" in {shorten(str(folder.absolute()))} or in the working directory"
    raise _Unfit(f"but there is no such file{where}")


def _address(name: str) -> Input:
    if name.partition("?")[0].lower().endswith(".mp4"):
        raise _Unfit("but videos are sent as files; download it, and name its path")
    return Input(name=name)


def _decoded(name: str) -> bytes:
    head, _, data = name.partition(",")
    try:
        if not head.endswith(";base64"):
            raise _Unfit("which is no data URL in base64")
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _Unfit(f"which is no base64: {error}") from None
