"""An earlier picture with its estimates, in memory and as a safetensors file.

The file holds bytes only, as tensors of type U8: `picture`, of shape (height, width, 3), and `latents.0` and so on,
which are latents files themselves. The JSON of its entry is in the metadata under `safelight`. The format is written
here by hand because the service must not load torch or what belongs to it.
"""

import struct
from dataclasses import dataclass
from typing import Final

import msgspec

from safelight.core.errors import LatentsFileError
from safelight.core.pixels import Pixels
from safelight.latents.entry import Entry

FORMAT: Final = 1
KEY: Final = "safelight"
LARGEST_HEADER_BYTES: Final = 1 << 20
_LENGTH: Final = struct.Struct("<Q")


@dataclass(frozen=True, kw_only=True)
class KeptPicture:
    """The bytes of an entry: the picture, and its latents files in the order of `Entry.latents_ids`."""

    entry: Entry
    picture: Pixels
    latents: tuple[bytes, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Bytes in memory."""
        return self.picture.held_bytes + sum(map(len, self.latents))


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    entry: Entry


class _Tensor(msgspec.Struct, frozen=True, kw_only=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def to_file(kept: KeptPicture) -> bytes:
    """Return the file of a picture."""
    picture = kept.picture
    parts: dict[str, tuple[bytes, tuple[int, ...]]] = {"picture": (picture.rgb, (picture.height, picture.width, 3))}
    parts |= {f"latents.{number}": (file, (len(file),)) for number, file in enumerate(kept.latents)}
    header: dict[str, object] = {"__metadata__": {KEY: msgspec.json.encode(_Record(entry=kept.entry)).decode()}}
    offset = 0
    for name, (content, shape) in parts.items():
        header[name] = _Tensor(dtype="U8", shape=shape, data_offsets=(offset, offset + len(content)))
        offset += len(content)
    text = msgspec.json.encode(header)
    text += b" " * (-len(text) % 8)
    return b"".join([_LENGTH.pack(len(text)), text, *(content for content, _ in parts.values())])


def entry_of(beginning: bytes) -> Entry:
    """Return the entry of a file from its beginning; raises LatentsFileError if it is none of this format."""
    header, _ = _header(beginning)
    return _entry(header)


def from_file(content: bytes) -> KeptPicture:
    """Read a file; raises LatentsFileError if it is none of this format, or damaged."""
    header, start = _header(content)
    entry = _entry(header)
    try:
        tensors = {name: msgspec.convert(each, _Tensor) for name, each in header.items() if name != "__metadata__"}
    except msgspec.ValidationError as error:
        raise LatentsFileError(f"its header is damaged ({error})") from None
    picture = tensors.pop("picture", None)
    names = [f"latents.{number}" for number in range(len(entry.latents_ids))]
    if picture is None or picture.shape != (entry.height, entry.width, 3) or sorted(tensors) != sorted(names):
        raise LatentsFileError("its header does not describe a picture with its latents")
    read = {name: _part(content, start, tensor) for name, tensor in {"picture": picture, **tensors}.items()}
    if len(read["picture"]) != 3 * entry.width * entry.height:
        raise LatentsFileError("its picture is cut off")
    return KeptPicture(
        entry=entry,
        picture=Pixels(width=entry.width, height=entry.height, rgb=read["picture"]),
        latents=tuple(read[name] for name in names),
    )


def _header(content: bytes) -> tuple[dict[str, object], int]:
    try:
        (length,) = _LENGTH.unpack_from(content)
        start = _LENGTH.size + length
        if length > LARGEST_HEADER_BYTES or start > len(content):
            raise LatentsFileError("its header is cut off")
        return msgspec.json.decode(content[_LENGTH.size : start], type=dict[str, object]), start
    except (struct.error, msgspec.DecodeError, msgspec.ValidationError):
        raise LatentsFileError("it is no safetensors file") from None


def _entry(header: dict[str, object]) -> Entry:
    try:
        metadata = msgspec.convert(header.get("__metadata__"), dict[str, str])
        record = msgspec.json.decode(metadata[KEY], type=_Record)
    except (msgspec.MsgspecError, KeyError) as error:
        raise LatentsFileError(f"its metadata describe no picture ({error})") from None
    if record.format != FORMAT:
        raise LatentsFileError(f"it is of format {record.format}; this version reads format {FORMAT}")
    return record.entry


def _part(content: bytes, start: int, tensor: _Tensor) -> bytes:
    first, last = tensor.data_offsets
    part = content[start + first : start + last]
    if tensor.dtype != "U8" or first < 0 or len(part) != last - first:
        raise LatentsFileError("its data are cut off")
    return part
