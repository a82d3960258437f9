"""Numbers, names and choices that several sections of a scenario have."""

from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from safelight.simulator.errors import BadScenario

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
WorkerCount = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
AdapterCount = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
MOST_REQUESTS = 50_000_000
RequestCount = Annotated[int, msgspec.Meta(ge=1, le=MOST_REQUESTS)]
"""What a simulation holds in memory, so that a slip of a digit is an error and not a machine without memory."""

Bytes = Annotated[float, msgspec.Meta(ge=0)]
"""A number of bytes, such as `80e9`."""

NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Factor = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
SomeNames = Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
Seed = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]

MOST_SIDE = 1 << 15


class Span(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whole numbers from `least` to `most`, all equally likely."""

    least: Count
    most: Count


Numbers = Count | tuple[Count, ...] | Span
"""One number, some that are equally likely, or a span."""


def check_numbers(numbers: Any, place: str) -> None:  # noqa: ANN401 - `Numbers` with its annotations
    """Raise BadScenario for an empty list, or a span that ends before it begins."""
    if isinstance(numbers, Span) and numbers.least > numbers.most:
        raise BadScenario(f"goes from {numbers.least} to {numbers.most}; `most` must not be smaller.", place=place)
    if isinstance(numbers, tuple) and not numbers:
        raise BadScenario("is empty; it must have at least one element.", place=place)


def draw_numbers(numbers: Any, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:  # noqa: ANN401
    """Return `count` of `Numbers`, drawn independently."""
    if isinstance(numbers, Span):
        return rng.integers(numbers.least, numbers.most, size=count, endpoint=True)
    some = np.atleast_1d(np.asarray(numbers, np.int64))
    return some[rng.integers(len(some), size=count)]


def parse_size(text: str, place: str) -> tuple[int, int]:
    """Return width and height of a size such as `1024x768`; raises BadScenario."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and 0 < int(width) <= MOST_SIDE and 0 < int(height) <= MOST_SIDE):
        raise BadScenario(f"is {text!r}; it must be WIDTHxHEIGHT in pixels, such as '1024x1024'.", place=place)
    return int(width), int(height)
