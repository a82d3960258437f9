"""Pictures that clients send as data URLs."""

import base64
import binascii
from collections.abc import Sequence

from safelight.core.adapter import ControlNetUse
from safelight.core.errors import InvalidParameter, shorten
from safelight.server.wire.options import ControlChoice
from safelight.service.pictures import Source, read_mask, read_picture

_PIECE_CHARACTERS = 1 << 20


def read_controls(choices: Sequence[ControlChoice]) -> tuple[ControlNetUse, ...]:
    """Return ControlNets with their decoded pictures.

    Raises:
        InvalidParameter: when one is no picture, or too large.
    """
    uses = []
    for number, choice in enumerate(choices):
        content = _content(choice.image, param=(param := f"controls[{number}].image"))
        image = read_picture(content, param=param, shown=choice.image)
        uses.append(ControlNetUse(name=choice.name, scale=choice.scale, image=image))
    return tuple(uses)


def read_sources(pictures: Sequence[str], mask: str | None, *, param: str) -> tuple[Source, ...]:
    """Return start pictures, each with the mask, if there is one.

    Raises:
        InvalidParameter: when one is no picture, or too large, or the mask keeps everything.
    """
    painted = None if mask is None else read_mask(_content(mask, param="mask"), param="mask", shown=mask)
    names = [param] if len(pictures) == 1 else [f"{param}[{number}]" for number in range(len(pictures))]
    return tuple(
        Source(picture=read_picture(_content(url, param=name), param=name, shown=url), mask=painted)
        for url, name in zip(pictures, names, strict=True)
    )


def _content(data_url: str, *, param: str) -> bytes:
    """Decode a data URL in pieces, between which other threads may run."""
    begin = data_url.index(",") + 1
    pieces = range(begin, len(data_url), _PIECE_CHARACTERS)
    try:
        return b"".join(base64.b64decode(data_url[start : start + _PIECE_CHARACTERS]) for start in pieces)
    except (binascii.Error, ValueError):
        rule = "it should be a whole PNG, JPEG or WebP picture"
        raise InvalidParameter(param, shorten(data_url), rule) from None
