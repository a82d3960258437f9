"""Writes events to the server in as few writes as possible."""

import time
from collections.abc import Callable
from typing import Final

from safelight.core.frames import frame
from safelight.core.work import Ticked, WorkerEvent

TICKED_WAITS_S: Final = 0.02
"""Events of shorter ticks wait at most this long, and for one more tick, to share a write."""


class Outbox:
    """Collects frames until `flush`, which writes all of them at once.

    `Ticked` tells progress, which nobody needs at once where ticks are short: such news alone is written only when the
    last write is `TICKED_WAITS_S` ago, or with the next other event.
    """

    def __init__(self, write: Callable[[bytes], object], *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._now_s = now_s
        self._frames: list[bytes] = []
        self._is_urgent = False
        self._written_s = now_s()

    def send(self, event: WorkerEvent) -> None:
        """Add an event, which a later `flush` writes."""
        self._frames.append(frame(event))
        self._is_urgent |= not isinstance(event, Ticked) or event.seconds >= TICKED_WAITS_S

    def flush(self, *, is_last: bool) -> None:
        """Write the events; those that can wait are kept unless `is_last`, which means the next may be late."""
        if not self._frames:
            return
        now = self._now_s()
        if is_last or self._is_urgent or now - self._written_s >= TICKED_WAITS_S:
            self._write(b"".join(self._frames))
            self._frames.clear()
            self._is_urgent = False
            self._written_s = now
