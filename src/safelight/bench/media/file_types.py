"""What the files of pictures and videos are, by the bytes that they begin with."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of file, and how names of such files end."""

    media_type: str
    ending: str


KINDS = {
    re.compile(begins, re.DOTALL): kind
    for begins, kind in (
        (rb"\x89PNG\r\n\x1a\n", Kind("image/png", "png")),
        (rb"\xff\xd8\xff", Kind("image/jpeg", "jpg")),
        (rb"RIFF.{4}WEBP", Kind("image/webp", "webp")),
        (rb"GIF8", Kind("image/gif", "gif")),
        (rb".{4}ftypavi[fs]", Kind("image/avif", "avif")),
        (rb".{4}ftyp(?:hei[cxms]|mif1|msf1)", Kind("image/heif", "heif")),
        (rb".{4}ftypqt  ", Kind("video/quicktime", "mov")),
        (rb".{4}ftyp", Kind("video/mp4", "mp4")),
        (rb"\x1aE\xdf\xa3.{,60}webm", Kind("video/webm", "webm")),
        (rb"\x1aE\xdf\xa3", Kind("video/matroska", "mkv")),
        (rb"RIFF.{4}AVI ", Kind("video/vnd.avi", "avi")),
    )
}
"""The first that fits; files of pictures may be built like those of videos, which stand behind them."""


def kind_of(file: bytes) -> Kind | None:
    """Return what a file is; None if that is nothing known."""
    return next((kind for begins, kind in KINDS.items() if begins.match(file)), None)
