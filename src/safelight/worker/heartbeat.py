"""Signs of life of a worker process, from a thread of its own."""

import resource
import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

from safelight.core.work import Beat

WINDOW_S: Final = 1.0
LEAST_CPU_SHARE: Final = 0.005
"""A process that computes less than this share of a window makes no progress: threads that wait also use a little."""

MOST_COUNTED: Final = 2.0
"""A pause between two beats counts as at most so many intervals: a stopped process is not a busy one."""

Progress = Callable[[], Hashable]
"""Returns another value whenever the worker has made progress; None while it has nothing to do."""


class Activity:
    """What the main thread of a worker does: effects, one after another, with rests between them."""

    def __init__(self) -> None:
        self._effects = 0
        self._is_resting = False

    def begin(self) -> None:
        """Note that the next effect begins."""
        self._effects += 1
        self._is_resting = False

    def rest(self) -> None:
        """Note that there is nothing to do."""
        self._is_resting = True

    def progress(self) -> Hashable:
        """Return how many effects have begun; None at rest."""
        return None if self._is_resting else self._effects


class Work:
    """Whether the process computes or reads, apart from the thread that asks."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._cpu_s = 0.0
        self._pages = 0
        self._changes = 0

    def progress(self) -> Hashable:
        """Return a number that has grown if the process has computed or read from a disk in the last `WINDOW_S`."""
        now_s, cpu_s, pages = time.monotonic(), time.process_time() - time.thread_time(), _pages_read()
        if now_s - self._now_s < WINDOW_S:
            return self._changes
        has_computed = cpu_s - self._cpu_s >= LEAST_CPU_SHARE * (now_s - self._now_s)
        self._changes += has_computed or pages > self._pages
        self._now_s, self._cpu_s, self._pages = now_s, cpu_s, pages
        return self._changes


class Heartbeat:
    """Sends a `Beat` every `beat_s` seconds, with the seconds since the last progress.

    `send` returns whether the beat could be sent; a beat that could not does not count.
    """

    def __init__(self, send: Callable[[Beat], bool], *, beat_s: float, progress: Progress) -> None:
        self._send = send
        self._beat_s = beat_s
        self._progress = progress
        self._is_over = threading.Event()
        self._last: Hashable = None
        self._busy_s = 0.0
        self._beaten_s = 0.0

    def start(self) -> None:
        """Send the first beat, and the others from a thread of its own."""
        self._beaten_s = time.monotonic()
        self._send(Beat())
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def watch(self, progress: Progress) -> None:
        """Judge progress by another measure from now on."""
        self._progress = progress

    def stop(self) -> None:
        """Send no further beat."""
        self._is_over.set()

    def beat(self, now_s: float) -> None:
        """Send one beat."""
        paused_s, self._beaten_s = now_s - self._beaten_s, now_s
        progress = self._progress()
        is_stuck = progress is not None and progress == self._last
        self._last = progress
        busy_s = self._busy_s + min(paused_s, MOST_COUNTED * self._beat_s) if is_stuck else 0.0
        if self._send(Beat(busy_s=busy_s)) or not is_stuck:
            self._busy_s = busy_s

    def _run(self) -> None:
        while not self._is_over.wait(self._beat_s):
            self.beat(time.monotonic())


def _pages_read() -> int:
    """Return how often the process has waited for a disk."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_majflt + usage.ru_inblock
