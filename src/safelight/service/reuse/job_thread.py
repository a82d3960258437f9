"""A thread that runs jobs one after the other, and that nothing waits for when a disk hangs."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

CLOSE_S: Final = 2.0


class JobThread:
    """Runs jobs in order in a daemon thread; no call blocks."""

    def __init__(self, name: str) -> None:
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def add(self, job: Callable[[], None]) -> None:
        """Run a job, which raises nothing, after those that wait."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()

    def close(self, *, within_s: float = CLOSE_S) -> bool:
        """Run what waits, and end; returns whether all was run in time."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            job()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._jobs:
                if self._is_closing:
                    return None
                self._changed.wait()
            return self._jobs.popleft()
