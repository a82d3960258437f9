"""Parses lists of numbers such as `0.5,1,2`, `1-10,20,50` and `2GiB,800MB`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

BYTE_UNITS: Mapping[str, int] = {
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}

Problem = Literal["form", "range", "count"]


class BadNumberList(Exception):
    """An element of a list is invalid.

    Attributes:
        part: the element.
        problem: it is no such number (`form`), it is out of range (`range`), or it makes the list too long (`count`).
    """

    def __init__(self, part: str, problem: Problem) -> None:
        super().__init__(f"{part!r}: {problem}")
        self.part = part
        self.problem = problem


@dataclass(frozen=True, kw_only=True)
class NumberList:
    """What a list of numbers may contain.

    Attributes:
        low: numbers must not be smaller.
        high: numbers must not be larger.
        is_whole: whether numbers must be whole.
        has_ranges: whether an element may be a range of whole numbers, such as `1-10`.
        units: if there are some, every number has one of these suffixes, multiplies it by the suffix's factor, and is
            rounded.
        most: the largest number of elements, with ranges expanded.
    """

    low: float = 0.0
    high: float = math.inf
    is_whole: bool = False
    has_ranges: bool = False
    units: Mapping[str, int] | None = None
    most: int | None = None

    def parse(self, text: str) -> list[float]:
        """Return the numbers between commas, with ranges expanded, in the order of the text; raises BadNumberList."""
        found = list[float]()
        for part in text.split(","):
            first, last = self._bounds(part)
            if not self.low <= first <= last <= self.high:
                raise BadNumberList(part, "range")
            if self.most is not None and len(found) + last - first >= self.most:
                raise BadNumberList(part, "count")
            found += [first] if first == last else range(int(first), int(last) + 1)
        return found

    def _bounds(self, part: str) -> tuple[float, float]:
        low, dash, high = part.partition("-") if self.has_ranges else (part, "", "")
        first = self._number(low, part)
        return first, self._number(high, part) if dash else first

    def _number(self, text: str, part: str) -> float:
        digits, factor = text.strip(), 1
        if self.units is not None:
            unit = next((unit for unit in self.units if digits.endswith(unit)), None)
            if unit is None:
                raise BadNumberList(part, "form")
            digits, factor = digits.removesuffix(unit), self.units[unit]
        try:
            number = float(digits) * factor
            number = number if self.units is None else float(round(number))
        except (ValueError, OverflowError):
            raise BadNumberList(part, "form") from None
        if math.isnan(number) or (self.is_whole and not number.is_integer()):
            raise BadNumberList(part, "form")
        return number
