"""What happened while a trace was read: requests that were left out, and other changes."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from safelight.traces.errors import BadTrace


class ReadLog:
    """Raises an error at the first request that cannot be read, or counts such requests if it is lenient."""

    def __init__(self, path: Path, *, is_lenient: bool) -> None:
        self._path = path
        self.is_lenient = is_lenient
        self._dropped = Counter[str]()
        self._notes: list[str] = []

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many requests were left out, by reason."""
        return dict(self._dropped)

    @property
    def notes(self) -> tuple[str, ...]:
        """What else was done with the trace, in sentences."""
        return tuple(self._notes)

    def drop(self, reason: str, *, where: str, problem: str, count: int = 1) -> None:
        """Leave requests out.

        Args:
            reason: a few words that many requests may share, to be counted by.
            where: the place of the first of them in the file, such as "line 7".
            problem: what is wrong with the first of them, with the value.
            count: of requests.

        Raises:
            BadTrace: unless it is lenient.
        """
        if not self.is_lenient:
            raise BadTrace(
                f"{str(self._path)!r}, {where}: {problem} With --lenient, such requests are left out and counted."
            )
        self._dropped[reason] += count

    def note(self, sentence: str) -> None:
        """Record a change that loses no request."""
        if sentence not in self._notes:
            self._notes.append(sentence)
