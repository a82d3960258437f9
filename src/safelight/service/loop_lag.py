"""Event-loop lag: how late a timer fires, which is how long every request has to wait for its turn."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram

from safelight.core.clock import Clock
from safelight.core.log import Log

EVERY_S: Final = 0.1
"""Time between two measurements."""

WINDOW_S: Final = 30.0
"""The gauge shows the worst lag of the last one to two windows, so that no scrape misses it."""

STALL_S: Final = 1.0
"""A lag from which on the log has a line."""

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class LoopLag:
    """Measures the lag of an event loop from `start` to `stop`."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        clock: Clock,
        call_later: Callable[[float, Callable[[], None]], Callable[[], object]],
        log: Log,
    ) -> None:
        """Register the metrics.

        Args:
            registry: of the metrics.
            clock: with sub-millisecond resolution.
            call_later: `(seconds, action) -> cancel`, on the same clock.
            log: gets a warning for each lag of at least `STALL_S`.
        """
        self._clock = clock
        self._call_later = call_later
        self._log = log
        self._due_s = 0.0
        self._worst_s = self._worst_before_s = 0.0
        self._window_ends_s = 0.0
        self._cancel: Callable[[], object] = lambda: None
        self._histogram = Histogram(
            "safelight_event_loop_lag_seconds",
            "How late a timer of the event loop fired, ten times a second.",
            buckets=_BUCKETS,
            registry=registry,
        )
        worst = Gauge(
            "safelight_event_loop_lag_worst_seconds",
            "The worst event-loop lag of the last 30 to 60 seconds.",
            registry=registry,
        )
        worst.set_function(lambda: self.worst_s)

    @property
    def worst_s(self) -> float:
        """The worst lag of the present window and the one before."""
        return max(self._worst_s, self._worst_before_s)

    def start(self) -> None:
        """Begin to measure."""
        self._window_ends_s = self._clock.now_s() + WINDOW_S
        self._plan()

    def stop(self) -> None:
        """Measure no more."""
        self._cancel()

    def _plan(self) -> None:
        self._due_s = self._clock.now_s() + EVERY_S
        self._cancel = self._call_later(EVERY_S, self._measure)

    def _measure(self) -> None:
        now_s = self._clock.now_s()
        lag_s = max(0.0, now_s - self._due_s)
        self._histogram.observe(lag_s)
        if now_s >= self._window_ends_s:
            self._worst_before_s, self._worst_s = self._worst_s, 0.0
            self._window_ends_s = now_s + WINDOW_S
        self._worst_s = max(self._worst_s, lag_s)
        if lag_s >= STALL_S:
            self._log.warning("event loop stalled", lag_s=round(lag_s, 3))
        self._plan()
