"""Types of picture and video files, by their first bytes."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class FileType:
    """A media type and its file name extension."""

    media_type: str
    ending: str


KINDS = {
    re.compile(begins, re.DOTALL): kind
    for begins, kind in (
        (rb"\x89PNG\r\n\x1a\n", FileType("image/png", "png")),
        (rb"\xff\xd8\xff", FileType("image/jpeg", "jpg")),
        (rb"RIFF.{4}WEBP", FileType("image/webp", "webp")),
        (rb"GIF8", FileType("image/gif", "gif")),
        (rb".{4}ftypavi[fs]", FileType("image/avif", "avif")),
        (rb".{4}ftyp(?:hei[cxms]|mif1|msf1)", FileType("image/heif", "heif")),
        (rb".{4}ftypqt  ", FileType("video/quicktime", "mov")),
        (rb".{4}ftyp", FileType("video/mp4", "mp4")),
        (rb"\x1aE\xdf\xa3.{,60}webm", FileType("video/webm", "webm")),
        (rb"\x1aE\xdf\xa3", FileType("video/matroska", "mkv")),
        (rb"RIFF.{4}AVI ", FileType("video/vnd.avi", "avi")),
    )
}
"""The first match counts; picture formats built like video formats come before them."""


def file_type_of(file: bytes) -> FileType | None:
    """Return the type of a file; None if it is unknown."""
    return next((kind for begins, kind in KINDS.items() if begins.match(file)), None)
