"""Ctrl-C and SIGTERM during a measurement: it ends early, and what was measured until then is kept."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from safelight.bench.load.runner import StopSignal

APART_S = 1.0
"""Signals that follow sooner are one wish: a shell and a wrapper may both pass it on."""

HEEDED = 2
"""The first ends the load, the second has waiting pictures left out; after these, a third ends the process."""


@contextmanager
def interruption() -> Iterator[StopSignal]:
    """Yield what the signals call, until all results are written; elsewhere than in a main thread nothing is heard."""
    stop, heard_s = StopSignal(), list[float]()

    def hear(_: int, __: FrameType | None) -> None:
        now_s = time.monotonic()
        if heard_s and now_s - heard_s[-1] < APART_S:
            return
        heard_s.append(now_s)
        if len(heard_s) > HEEDED:
            raise KeyboardInterrupt
        try:
            asyncio.get_running_loop().call_soon_threadsafe(stop)
        except RuntimeError:
            stop()

    try:
        before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        before = {}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if heard_s else handler)  # a late echo must not change the status
