"""Ctrl-C and SIGTERM end a measurement early, and keep the results so far."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from safelight.bench.load.runner import StopSignal

APART_S = 1.0
"""Signals within this time count as one, since a shell and a wrapper may both pass it on."""

MOST_HANDLED = 2
"""The first signal ends the load, the second skips unchecked pictures, and a third ends the process."""


@contextmanager
def interruption() -> Iterator[StopSignal]:
    """Yield what signals call, until all results are written; outside the main thread signals are not handled."""
    stop, handled_s = StopSignal(), list[float]()

    def handle(_: int, __: FrameType | None) -> None:
        now_s = time.monotonic()
        if handled_s and now_s - handled_s[-1] < APART_S:
            return
        handled_s.append(now_s)
        if len(handled_s) > MOST_HANDLED:
            raise KeyboardInterrupt
        try:
            asyncio.get_running_loop().call_soon_threadsafe(stop)
        except RuntimeError:
            stop()

    try:
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        before = {}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if handled_s else handler)  # a late echo must not change the status
