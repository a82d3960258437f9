"""Silence, and what it means: in virtual time."""

import pytest

from safelight.control.liveness import Liveness, LivenessLimits
from safelight.core.work import Beat, Started

LIMITS = LivenessLimits()
BEAT_S = LIMITS.beat_s


class Scene:
    """One worker that beats, unless it is told not to, and somebody who checks on time."""

    def __init__(self, *, is_ready=True, longest_effect_s=0.0, beats=True):
        self.now = 0.0
        self.liveness = Liveness(LIMITS)
        self.longest_effect_s = longest_effect_s
        self.states = []
        self.liveness.starting("w", 0.0)
        if beats:
            self.liveness.heard("w", Beat(), 0.0)
        if is_ready:
            self.liveness.joined("w", 0.0)

    def check(self):
        if self.liveness.next_check_s is not None:
            self.now = max(self.now, self.liveness.next_check_s)
            changes = self.liveness.check(self.now, lambda _: self.longest_effect_s)
            self.states += [(change.state, self.now) for change in changes]

    def pass_time(self, seconds, *, busy_s=None):
        """Let time pass in silence, or with beats whose `busy_s` begins at `busy_s` and grows."""
        end = self.now + seconds
        while self.now < end and self.liveness.next_check_s is not None:
            if busy_s is not None:
                self.liveness.heard("w", Beat(busy_s=busy_s), self.now)
                busy_s += BEAT_S if busy_s else 0.0
            self.check()

    @property
    def found(self):
        return [state for state, _ in self.states]


def test_a_worker_that_beats_is_never_suspected():
    scene = Scene()
    scene.pass_time(100, busy_s=0.0)
    assert scene.found == []


def test_silence_is_suspected_first_and_hung_later():
    scene = Scene()
    scene.pass_time(60)
    assert scene.found == ["suspected", "hung"]
    (_, suspected_s), (_, hung_s) = scene.states
    assert LIMITS.suspected_s <= suspected_s <= LIMITS.suspected_s + BEAT_S
    assert LIMITS.hung_s <= hung_s <= LIMITS.hung_s + 3 * BEAT_S


@pytest.mark.parametrize(
    "silent_s", [1.0, LIMITS.suspected_s - BEAT_S, LIMITS.suspected_s, 3.0, LIMITS.hung_s - BEAT_S]
)
def test_a_worker_that_speaks_again_in_time_is_trusted_again(silent_s):
    scene = Scene()
    scene.pass_time(silent_s)
    scene.pass_time(20, busy_s=0.0)
    assert scene.found in ([], ["suspected", "responds"])


def test_a_worker_that_speaks_at_the_last_moment_is_not_killed():
    scene = Scene()
    scene.pass_time(LIMITS.hung_s + BEAT_S)
    assert scene.found == ["suspected"]
    scene.pass_time(20, busy_s=0.0)
    assert scene.found == ["suspected", "responds"]


def test_a_worker_is_killed_once():
    scene = Scene()
    scene.pass_time(100)
    scene.pass_time(100, busy_s=0.0)
    scene.pass_time(100)
    assert scene.found == ["suspected", "hung"]


@pytest.mark.parametrize("asleep_s", [1.0, 60.0, 86_400.0])
def test_time_in_which_the_server_itself_was_stopped_does_not_count(asleep_s):
    scene = Scene()
    scene.pass_time(1.0)
    scene.now += asleep_s
    scene.check()
    scene.pass_time(20, busy_s=0.0)
    assert scene.found == []


def test_a_server_that_is_late_at_every_check_still_finds_a_worker_that_hangs():
    scene = Scene()
    for _ in range(30):
        scene.now += 3.0
        scene.check()
    assert scene.found == ["suspected", "hung"]


def test_a_part_of_an_event_is_a_sign_of_life():
    scene = Scene()
    for _ in range(60):
        scene.liveness.heard("w", None, scene.now)
        scene.check()
    assert scene.found == []


def test_a_tick_that_never_ends_is_suspected_and_killed_though_the_worker_beats():
    scene = Scene()
    scene.pass_time(LIMITS.tick_s + 2, busy_s=BEAT_S)
    assert scene.found == ["suspected", "hung"]
    assert scene.states[0][1] == pytest.approx(LIMITS.tick_s / 3, abs=2 * BEAT_S)


def test_a_tick_that_is_known_to_be_long_may_take_a_multiple():
    scene = Scene(longest_effect_s=10.0)
    scene.pass_time(60, busy_s=BEAT_S)
    assert scene.found == []
    scene.pass_time(30, busy_s=60.0)
    assert scene.found == ["suspected"]
    scene.pass_time(30, busy_s=0.0)
    assert scene.found == ["suspected", "responds"]


def test_an_event_ends_a_long_tick():
    scene = Scene()
    scene.liveness.heard("w", Beat(busy_s=LIMITS.tick_s), 0.0)
    scene.liveness.heard("w", Started(request_id="a"), 0.0)
    scene.check()
    assert scene.found == []


def test_a_worker_that_loads_its_models_may_be_silent_for_longer():
    scene = Scene(is_ready=False)
    scene.pass_time(LIMITS.start_silence_s - 1)
    assert scene.found == []
    scene.pass_time(3)
    assert scene.found == ["hung"]


def test_a_load_that_goes_on_may_take_for_ever_and_one_that_stands_still_may_not():
    scene = Scene(is_ready=False)
    scene.pass_time(10_000, busy_s=0.0)
    assert scene.found == []
    scene.pass_time(LIMITS.start_stalled_s + 2, busy_s=BEAT_S)
    assert scene.found == ["hung"]


def test_a_program_that_never_says_anything_at_its_start_is_hung():
    scene = Scene(is_ready=False, beats=False)
    scene.pass_time(LIMITS.start_silence_s + 2)
    assert scene.found == ["hung"]


def test_a_ready_worker_that_has_never_beaten_is_not_judged():
    scene = Scene(beats=False)
    scene.pass_time(100)
    assert scene.found == []


def test_nothing_is_checked_when_there_is_nobody_to_watch():
    scene = Scene()
    scene.liveness.left("w")
    assert scene.liveness.next_check_s is None


@pytest.mark.parametrize(
    "limits",
    [
        {"beat_s": 0.0},
        {"beat_s": 1e9, "suspected_s": 1e10, "hung_s": 1e10, "tick_s": 1e10},
        {"suspected_s": 0.6},
        {"hung_s": 1.0},
        {"tick_s": 1.0},
        {"start_silence_s": 0.1},
    ],
)
def test_limits_that_do_not_fit_together_have_a_flaw(limits):
    assert LivenessLimits(**limits).flaw
    assert LivenessLimits().flaw is None
