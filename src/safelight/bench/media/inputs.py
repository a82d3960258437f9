"""Pictures and videos that requests start from: read before the clock starts, each file once."""

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
"""All files of a dataset together hold no more."""

InputKind = Literal["picture", "video", "address"]

TAKEN = {"image/png", "image/jpeg", "image/webp", "video/mp4", "video/quicktime"}
ENDINGS = {kind.media_type: kind.ending for kind in KINDS.values()}
ADDRESSES = ("http://", "https://")


@dataclass(frozen=True, kw_only=True, eq=False)
class Input:
    """A picture or video that requests start from.

    Attributes:
        name: the file's path, a `data:` URL, or the address at which the server is to find it.
        media_type: by its content; "" of an address.
        content: the file; nothing of an address.
    """

    name: str
    media_type: str = ""
    content: bytes = field(default=b"", repr=False)

    @property
    def kind(self) -> InputKind:
        """What it is to an endpoint."""
        if not self.media_type:
            return "address"
        return "video" if self.media_type.startswith("video/") else "picture"

    @property
    def ending(self) -> str:
        """How a file's name ends; an address has none."""
        return ENDINGS[self.media_type]

    @cached_property
    def url(self) -> str:
        """It as text in JSON: an address as it is, all else as a `data:` URL."""
        if self.kind == "address":
            return self.name
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"


def input_of(content: bytes, name: str) -> Input | None:
    """Return the bytes of a file as what they are, or None if that is nothing to start from."""
    kind = file_type_of(content)
    if kind is None or kind.media_type not in TAKEN:
        return None
    return Input(name=name, media_type=kind.media_type, content=content)


class _Unfit(Exception):
    """Why something cannot be started from, as the end of a sentence."""


@dataclass(kw_only=True)
class InputReader:
    """Reads what is named; requests that name the same file share it.

    Attributes:
        most_bytes: that all files may have together.
    """

    most_bytes: int = MOST_BYTES
    _named: dict[tuple[Path, str], Input] = field(default_factory=dict)
    _files: dict[Path, Input] = field(default_factory=dict)
    _held_bytes: int = 0

    def read(self, names: Sequence[str], *, folder: Path, location: str) -> tuple[Input, ...]:
        """Return what is named.

        Args:
            names: paths of files, relative to `folder` or, if there is none, to the working directory; or URLs.
            folder: of the dataset.
            place: in the dataset, such as "line 3 of t.jsonl", for errors.

        Raises:
            BadLoad: for what is not there, or is nothing to start from, or if it is too much.
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
    """Return where a file lies, whatever ways there are to name it."""
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
