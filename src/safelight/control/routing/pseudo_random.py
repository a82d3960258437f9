"""Pseudo-random numbers that depend on their arguments alone, since decisions draw no random numbers."""

from collections.abc import Iterator
from typing import Final

_MASK: Final = (1 << 64) - 1
_INCREMENT: Final = 0x9E3779B97F4A7C15


def draws(seed: int) -> Iterator[int]:
    """Yield numbers from 0 to 2^64 - 1, equal for equal seeds (SplitMix64: Steele, Lea and Flood, OOPSLA 2014)."""
    state = mixed(seed)
    while True:
        state = (state + _INCREMENT) & _MASK
        yield mixed(state)


def mixed(number: int) -> int:
    """Return a number from 0 to 2^64 - 1 in which each bit depends on all bits of `number`."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)
