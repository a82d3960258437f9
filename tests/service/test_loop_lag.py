"""The lag of the event loop, on a loop that the test makes late."""

import pytest
from prometheus_client import CollectorRegistry

from fakes.noting_log import NotingLog
from safelight.service.loop_lag import EVERY_S, STALL_S, WINDOW_S, LoopLag


class LateLoop:
    """One timer at a time; `fire` runs it so much too late."""

    def __init__(self):
        self.now = 100.0
        self.registry = CollectorRegistry()
        self.log = NotingLog()
        self.lag = LoopLag(self.registry, clock=self, call_later=self.call_later, log=self.log)
        self._timer = None

    def now_s(self):
        return self.now

    def call_later(self, seconds, action):
        self._timer = (self.now + seconds, action)
        return self.cancel

    def cancel(self):
        self._timer = None

    @property
    def is_waiting(self):
        return self._timer is not None

    def fire(self, *, late_s=0.0):
        due_s, action = self._timer
        self.now = due_s + late_s
        action()

    def value(self, name, **labels):
        return self.registry.get_sample_value(f"safelight_event_loop_lag_{name}", labels)


@pytest.fixture
def loop():
    loop = LateLoop()
    loop.lag.start()
    return loop


def test_each_timer_is_one_measurement(loop):
    for late_s in (0.0, 0.2, 0.3):
        loop.fire(late_s=late_s)
    assert loop.value("seconds_count") == 3
    assert loop.value("seconds_sum") == pytest.approx(0.5)
    assert loop.value("seconds_bucket", le="0.25") == 2


def test_the_gauge_shows_the_worst(loop):
    for late_s in (0.0, 0.4, 0.1):
        loop.fire(late_s=late_s)
    assert loop.value("worst_seconds") == pytest.approx(0.4)


def test_the_worst_is_shown_for_at_least_one_window_and_at_most_two(loop):
    loop.fire(late_s=0.4)
    began = loop.now
    while loop.value("worst_seconds") > 0.1:
        loop.fire()
    assert WINDOW_S <= loop.now - began <= 2 * WINDOW_S + 2 * EVERY_S


def test_a_stall_is_logged_once(loop):
    loop.fire(late_s=STALL_S)
    loop.fire()
    assert loop.log.facts("event loop stalled") == [{"lag_s": pytest.approx(STALL_S)}]


def test_nothing_is_measured_after_the_end(loop):
    loop.lag.stop()
    assert not loop.is_waiting
