"""The patterns by which PEFT gives some modules a rank or alpha of their own.

PEFT takes them for regular expressions. An untrusted regular expression can run for ever, so those that are plainly
globs are understood, and all others are refused.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from safelight.core.errors import shorten

GLOB = re.compile(r"(\^?)((?:\.\*|\\\.|\\d|[\w.-])+)\$?")
PIECES = {r"\.": ".", r"\d": "[0-9]", ".*": "*"}


class Patterns:
    """A number for each module that a pattern matches, as PEFT matches: on whole trailing parts of its path."""

    def __init__(self, numbers: Mapping[str, float]) -> None:
        r"""Understand the patterns.

        Raises:
            ValueError: naming a pattern that is more than letters, digits, `_`, `-`, `.`, `.*`, `\d`, `^` and `$`.
        """
        self._numbers: list[float] = []
        self._exact: dict[str, int] = {}
        self._globs: list[tuple[int, str]] = []
        for order, (pattern, number) in enumerate(numbers.items()):
            glob = _as_glob(pattern)
            self._numbers.append(number)
            if "*" in glob or "[" in glob:
                self._globs.append((order, glob))
            else:
                self._exact.setdefault(glob, order)

    def find(self, module: str) -> float | None:
        """Return the number of the first pattern that matches the path of a module."""
        spans = list(_spans(module))
        found = [self._exact[span] for span in spans if span in self._exact]
        found += [order for order, glob in self._globs if any(fnmatchcase(span, glob) for span in spans)]
        return self._numbers[min(found)] if found else None


def _as_glob(pattern: str) -> str:
    match = GLOB.fullmatch(pattern)
    if match is None:
        raise ValueError(
            f"the pattern {shorten(pattern)} is more than a name with `.*` or `\\d` in it, and Safelight runs no other "
            "regular expressions from files"
        )
    return match[1] + re.sub(r"\\.|\.\*", lambda piece: PIECES[piece[0]], match[2])


def _spans(module: str) -> Iterator[str]:
    """Yield the path anchored at its beginning, then the path and what follows each of its dots."""
    yield f"^{module}"
    yield module
    for dot in re.finditer(r"\.", module):
        yield module[dot.end() :]
