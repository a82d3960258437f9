"""How the bound on when a request would be ready, in a full fleet, compares with what its workers then do."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from control.driven_fleet import DrivenFleet
from control.makers import LARGE, SMALL, request, spec, state, ticked, worker, workers
from control.virtual_fleet import VirtualFleet
from safelight.control.prediction import NEAR_WORKERS, ONE_KIND_MARGIN, Prediction
from safelight.control.waiting import WaitingQueue
from safelight.core.errors import DeadlineUnmeetable

STEPS = st.integers(1, 12)
ONE_KIND = {"steps": STEPS}
TWO_WIDTHS = ONE_KIND | {"is_guided": st.booleans()}
TWO_SIZES = TWO_WIDTHS | {"side": st.sampled_from([64, 128])}
ANY_KIND = TWO_SIZES | {"model": st.sampled_from([LARGE, SMALL])}
MOST_ROWS = 4


def crowds(fields):
    return st.lists(st.fixed_dictionaries(fields), min_size=6, max_size=80)


def full_fleet(crowd, count):
    """As many of `count` workers as this crowd fills twice, with the crowd."""
    count = max(1, min(count, len(crowd) // (2 * (MOST_ROWS + 2))))
    specs = [
        tuple(spec(name, tick_s=0.02 + 1e-5 * number, encode_s=0.001, decode_s=0.002) for name in (LARGE, SMALL))
        for number in range(count)
    ]
    fleet = VirtualFleet(*specs, max_denoiser_rows=MOST_ROWS)
    for number, fields in enumerate(crowd):
        fleet.arrive(request(f"r{number}", arrived_s=number / 1000 - 1, **fields))
    return fleet


def bound_and_true(crowd, count):
    """What the bound says of one more request like the last of the crowd, and when it is ready."""
    *others, last = crowd
    fleet = full_fleet(others, count)
    inside = fleet.controller._fleet
    asked = request("asked", **last)
    assume(not inside.workers.with_space(asked.model))
    judged = state(asked, number=10_000)
    inside.prediction.weigh(judged, 0.0)
    bound_s = inside.prediction._bound_s(judged, inside.workers.serving(asked.model))
    fleet.arrive(asked)
    fleet.time.run()
    return bound_s, fleet.ready_s["asked"]


@given(crowd=crowds(ONE_KIND), count=st.integers(1, 6))
def test_the_bound_for_requests_of_one_kind_is_never_too_early_and_at_most_3_times_the_truth(crowd, count):
    bound_s, true_s = bound_and_true(crowd, count)
    assert true_s <= bound_s <= 3 * true_s


@given(crowd=crowds(TWO_WIDTHS), count=st.integers(1, 6))
def test_the_bound_for_requests_of_two_widths_is_never_too_early_and_at_most_3_times_the_truth(crowd, count):
    bound_s, true_s = bound_and_true(crowd, count)
    assert true_s <= bound_s <= 3 * true_s


@given(crowd=crowds(ANY_KIND), count=st.integers(1, 6))
def test_the_bound_for_requests_of_mixed_kinds_is_never_too_early(crowd, count):
    bound_s, true_s = bound_and_true(crowd, count)
    assert true_s <= bound_s


@given(crowd=crowds(TWO_SIZES), deadline_s=st.floats(0.1, 10))
def test_in_a_small_fleet_a_deadline_that_is_accepted_is_kept_whatever_kinds_mix(crowd, deadline_s):
    *others, last = crowd
    fleet = full_fleet(others, 1)
    fleet.arrive(request("asked", deadline_s=deadline_s, **last))
    fleet.time.run()
    assert fleet.ready_s.get("asked", 0.0) <= deadline_s + 1e-9


class Setting:
    """Workers that have one request each, full with it."""

    def __init__(self, count):
        self.queue = WaitingQueue()
        self.live = workers({worker(f"w{number}", most=1): () for number in range(count)})
        self.prediction = Prediction(self.live, self.queue)
        for number, each in enumerate(self.live):
            self.live.take(each, self.weighed(f"held{number}", number))

    def weighed(self, name, number, **fields):
        asked = state(request(name, **fields), number=number)
        self.prediction.weigh(asked, 0.0)
        return asked


def test_the_work_of_a_request_is_that_of_its_rows_in_full_calls():
    live = workers({worker(most=4): ()})
    asked = state(request(steps=10, is_guided=True))
    Prediction(live, WaitingQueue()).weigh(asked, 0.0)
    # A full call over 4 rows takes 0.06 s; two of them are its own.
    assert asked.work_s == pytest.approx(10 * 0.06 / 2)


def test_work_follows_the_pace_that_workers_show_after_a_second():
    (each,) = live = workers({worker(most=4): ()})
    prediction = Prediction(live, WaitingQueue())
    asked = state(request(steps=10))
    work_s = []
    for now in (0.0, 0.5, 2.0):
        prediction.weigh(asked, now)
        work_s.append(asked.work_s)
        for _ in range(100):
            each.tick(ticked(seconds=0.06), 0.0)
    assert work_s[:2] == [work_s[0]] * 2
    assert work_s[2] == pytest.approx(2 * work_s[0], rel=0.01)


def test_room_that_is_kept_for_a_request_ahead_is_not_counted_on():
    fleet = DrivenFleet("w", max_denoiser_rows=2)
    fleet.arrive("running", steps=200)
    fleet.arrive("wide", steps=200, is_guided=True, deadline_s=15.0)
    assert fleet.waiting == ["wide"]
    # 6 s until the wide one has room, 8 s for that, and 6 s for its own steps.
    (refusal,) = fleet.arrive("narrow", steps=200, deadline_s=15.1)
    assert isinstance(refusal.error, DeadlineUnmeetable)


def test_in_a_large_fleet_the_bound_alone_counts():
    setting = Setting(NEAR_WORKERS + 1)
    asked = setting.weighed("asked", 99, deadline_s=0.001)
    # Each worker has 4 steps of 0.03 s left, and then come those of the request.
    assert setting.prediction.finish_s(asked, 0.0) == pytest.approx(ONE_KIND_MARGIN * 2 * 4 * 0.03)


def test_more_workers_bring_a_request_nearer():
    finishes = []
    for count in (2, 4):
        setting = Setting(count)
        for number in range(8):
            setting.queue.add(setting.weighed(f"w{number}", 10 + number))
        finishes.append(setting.prediction.finish_s(setting.weighed("asked", 99), 0.0))
    assert finishes[1] < finishes[0]
