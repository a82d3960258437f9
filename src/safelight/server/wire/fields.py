"""Field types of the wire types, with the limits that hold for every model."""

import re
import string
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from safelight.adapters.registry import MAX_PER_PICTURE
from safelight.core.level import MAX_STEPS
from safelight.service.paint_request import MAX_PICTURES, MAX_PROMPT_CHARACTERS, MAX_SEED

MAX_GUIDANCE = 20.0
MAX_DEADLINE_S = 86_400.0
MAX_PARTIAL_IMAGES = 3
MAX_SIDE = 99_999
MAX_SCALE = 10.0
MAX_LORAS = MAX_PER_PICTURE
MAX_CONTROLS = 4
MAX_PICTURE_CHARACTERS = 12_000_000
MAX_NAME_CHARACTERS = 256

SAYS_SOMETHING = r"[^\s\u001c-\u001f\u0085]"
"""A character that is not whitespace in Python, in syntax that other regular expression engines share."""

SIZE_PATTERN = r"^(auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$"

PICTURE_PATTERN = r"^data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}$"

_PICTURE_HEAD = re.compile(r"data:image/(png|jpeg|webp);base64,")
_BASE64_ALPHABET = (string.ascii_letters + string.digits + "+/").encode()
_PADDING = 2
_PIECE_CHARACTERS = 1 << 18

QualityName = Literal["auto", "standard", "hd", "low", "medium", "high", "xhigh", "max"]
OnDisconnect = Literal["cancel", "finish"]


def _integral(value: object) -> object:
    """Turn 256.0 into 256: JSON has one number type, and some clients write all numbers as floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _said(prompt: str) -> str:
    if not prompt.strip():
        raise ValueError("it should say what to paint")
    return prompt


def _picture_data(url: str) -> str:
    """Check `PICTURE_PATTERN` in pieces, between which other threads may run."""
    head = _PICTURE_HEAD.match(url)
    end = len(url) - (len(ending := url[-_PADDING:]) - len(ending.rstrip("=")))
    is_picture = head is not None and head.end() < end
    for start in range(head.end() if head else end, end, _PIECE_CHARACTERS):
        piece = url[start : min(start + _PIECE_CHARACTERS, end)]
        is_picture = is_picture and piece.isascii() and not piece.encode().translate(None, _BASE64_ALPHABET)
    if not is_picture:
        raise ValueError(f"it should match pattern {PICTURE_PATTERN!r}")
    return url


_from_float = BeforeValidator(_integral)

Prompt = Annotated[
    str,
    Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS, json_schema_extra={"pattern": SAYS_SOMETHING}),
    AfterValidator(_said),
]
NegativePrompt = Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]
Size = Annotated[str, Field(pattern=SIZE_PATTERN)]
Pictures = Annotated[int, Field(ge=1, le=MAX_PICTURES), _from_float]
Percent = Annotated[int, Field(ge=0, le=100), _from_float]
PartialImages = Annotated[int, Field(ge=0, le=MAX_PARTIAL_IMAGES), _from_float]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE), _from_float]
Steps = Annotated[int, Field(ge=1, le=MAX_STEPS), _from_float]
GraceSteps = Annotated[int, Field(ge=0, le=MAX_STEPS), _from_float]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED), _from_float]
StepCache = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Guidance = Annotated[float, Field(ge=0, le=MAX_GUIDANCE, allow_inf_nan=False)]
Scale = Annotated[float, Field(ge=-MAX_SCALE, le=MAX_SCALE, allow_inf_nan=False)]
PictureData = Annotated[
    str,
    Field(
        max_length=MAX_PICTURE_CHARACTERS,
        json_schema_extra={"format": "picture", "pattern": PICTURE_PATTERN},
    ),
    AfterValidator(_picture_data),
]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Strength = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Deadline = Annotated[float, Field(gt=0, le=MAX_DEADLINE_S, allow_inf_nan=False)]
