"""Ctrl-C and SIGTERM end a simulation early, and keep the results so far."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from safelight.simulator.running.stopping import StopRequest


@contextmanager
def interruption() -> Iterator[StopRequest]:
    """Yield what the first signal sets; a second one ends the process."""
    stop = StopRequest()

    def handle(_: int, __: FrameType | None) -> None:
        if stop.is_set:
            raise KeyboardInterrupt
        stop.set()

    try:
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # outside the main thread
        before = {}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
