"""Whether a request is taken: what holds for every policy, and today's rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.driven_fleet import DrivenFleet
from control.makers import LARGE, SMALL, request, spec, state, ticked, worker, workers
from control.virtual_fleet import VirtualFleet
from safelight.control.admission_policies import (
    ADMISSION_POLICIES,
    LEAST_RETRY_S,
    MOST_RETRY_S,
    DeadlineAdmission,
    OpenAdmission,
    retry_in,
)
from safelight.control.arrivals import UNSERVED_RETRY_S
from safelight.control.policies import Policies
from safelight.control.prediction import Prediction
from safelight.control.waiting import WaitingQueue

every_policy = pytest.mark.parametrize("policy", ADMISSION_POLICIES, ids=lambda policy: policy.name)
HELD = st.lists(st.fixed_dictionaries({"steps": st.integers(1, 50), "is_guided": st.booleans()}), max_size=6)


def states(*requests):
    return [state(each, number=number) for number, each in enumerate(requests)]


def newcomer(**fields):
    return state(request("new", **fields), number=100)


def one(most=2):
    return worker("w", spec(LARGE), most=most)


class Setting:
    """Some workers, what they have, and what waits."""

    def __init__(self, held, waiting=()):
        queue = WaitingQueue()
        self.prediction = Prediction(fleet := workers(dict.fromkeys(held, ())), queue)
        for each, requests in held.items():
            for asked in requests:
                self.prediction.weigh(asked, 0.0)
                fleet.take(each, asked)
        for asked in waiting:
            self.prediction.weigh(asked, 0.0)
            queue.add(asked)

    def refusal(self, asked, *, policy=None):
        self.prediction.weigh(asked, 0.0)
        return (policy or DeadlineAdmission()).refusal(asked, self.prediction, 0.0)

    def finish_s(self, asked):
        self.prediction.weigh(asked, 0.0)
        return self.prediction.finish_s(asked, 0.0)


@every_policy
@given(held=HELD, steps=st.integers(1, 1000))
def test_a_request_without_a_deadline_is_taken_whatever_the_load(policy, held, steps):
    busy = states(*(request(f"r{number}", **fields) for number, fields in enumerate(held)))
    assert Setting({one(most=12): busy}).refusal(newcomer(steps=steps), policy=policy) is None


@every_policy
@given(deadline_s=st.floats(0.001, 1000))
def test_no_deadline_is_judged_while_nobody_serves_the_model(policy, deadline_s):
    asked = newcomer(model=SMALL, deadline_s=deadline_s)
    assert Setting({one(): ()}).refusal(asked, policy=policy) is None


@every_policy
@given(held=HELD, deadline_s=st.floats(0.001, 10))
def test_a_refusal_says_when_to_try_again(policy, held, deadline_s):
    busy = states(*(request(f"r{number}", **fields) for number, fields in enumerate(held)))
    refusal = Setting({one(most=12): busy}).refusal(newcomer(deadline_s=deadline_s), policy=policy)
    assert refusal is None or LEAST_RETRY_S <= refusal.retry_after_s <= MOST_RETRY_S


def test_no_two_policies_have_one_name():
    assert len({policy.name for policy in ADMISSION_POLICIES}) == len(ADMISSION_POLICIES)


def test_where_admission_is_open_no_deadline_is_refused():
    fleet = DrivenFleet("w", policies=Policies(admission=OpenAdmission()))
    fleet.arrive(deadline_s=0.001)
    assert set(fleet.running) == {"one"}


def test_a_deadline_that_an_empty_worker_meets_is_fine():
    # 4 steps of 0.03 s
    assert Setting({one(): ()}).refusal(newcomer(deadline_s=0.13)) is None


def test_a_deadline_that_no_worker_meets_is_refused_with_the_time_it_would_take():
    error = Setting({one(): ()}).refusal(newcomer(deadline_s=0.1))
    assert "0.1 s but would take about 0.12 s" in str(error)


def test_company_on_the_worker_counts():
    alone, together = Setting({one(): ()}), Setting({one(): states(request("old"))})
    assert together.finish_s(newcomer()) > alone.finish_s(newcomer())


def test_a_request_is_judged_by_the_worker_that_would_finish_it_soonest():
    crowded, quiet = states(request("a"), request("b")), states(request("c", steps=1))
    both = Setting({worker("crowded", most=4): crowded, worker("quiet", most=4): quiet})
    alone = Setting({worker("quiet", most=4): states(request("c", steps=1))})
    assert both.finish_s(newcomer()) == alone.finish_s(newcomer())


def full():
    return {one(): states(request("a", steps=8), request("b", steps=8))}


def test_those_who_wait_ahead_count():
    ahead = states(request("c", deadline_s=20.0), request("d", deadline_s=20.0))
    assert Setting(full(), ahead).finish_s(newcomer()) > Setting(full()).finish_s(newcomer())


def test_an_urgent_request_is_expected_before_those_who_wait_already():
    waiting = Setting(full(), states(*(request(f"w{number}") for number in range(6))))
    assert waiting.finish_s(newcomer(deadline_s=9.0)) < waiting.finish_s(newcomer(arrived_s=1.0))


def test_a_slowness_learned_under_load_does_not_shut_out_an_empty_worker():
    slowed = one()
    for _ in range(100):
        slowed.tick(ticked(seconds=0.3), 0.0)
    assert Setting({slowed: ()}).refusal(newcomer(deadline_s=0.13)) is None


def test_a_late_request_may_try_again_when_its_lateness_has_been_worked_off():
    busy = Setting({one(): states(request("a", steps=200), request("b", steps=200))})
    asked = newcomer(deadline_s=1.0)
    assert busy.refusal(asked).retry_after_s == pytest.approx(busy.finish_s(asked) - 1.0)


def full_queue(workers, *, waiting=10):
    """The refusal of a request that finds `waiting` others of 100 steps."""
    fleet = DrivenFleet(*(f"w{number}" for number in range(workers)), max_denoiser_rows=2, max_waiting=waiting)
    for number in range(2 * workers + waiting):
        fleet.arrive(f"r{number}", steps=100)
    assert len(fleet.waiting) == waiting
    return fleet.arrive("late")[0].error


def test_a_full_queue_asks_to_come_back_when_half_of_it_is_gone():
    # 10 pictures of 100 steps, two to a tick of 0.04 s
    assert full_queue(1).retry_after_s == pytest.approx(10 * 100 * 0.04 / 2 / 2)


def test_twice_the_workers_halve_the_wait_for_a_full_queue():
    assert full_queue(2).retry_after_s == pytest.approx(full_queue(1).retry_after_s / 2)


def test_a_full_queue_without_a_worker_asks_to_come_back_when_one_may_have_started():
    fleet = DrivenFleet("w", max_waiting=0)
    fleet.leave("w")
    assert fleet.arrive()[0].error.retry_after_s == UNSERVED_RETRY_S


@given(st.floats(-1e9, 1e9))
def test_a_retry_after_is_always_within_reason(seconds):
    assert LEAST_RETRY_S <= retry_in(seconds) <= MOST_RETRY_S


@pytest.mark.parametrize("admission", [DeadlineAdmission(), OpenAdmission()], ids=lambda policy: policy.name)
@pytest.mark.parametrize("deadline_s", [None, 60.0])
def test_the_outcome_holds_the_end_that_was_predicted_which_is_exact_for_an_idle_worker(admission, deadline_s):
    fleet = VirtualFleet((spec(LARGE, encode_s=0.1, decode_s=0.2),), policies=Policies(admission=admission))
    fleet.arrive(request(deadline_s=deadline_s, arrived_s=fleet.time.now_s()))
    fleet.time.run()
    outcome = fleet.outcomes["one"]
    assert outcome.predicted_s == pytest.approx(outcome.total_s)


def test_the_outcome_of_a_refused_request_holds_the_end_that_it_was_refused_for():
    fleet = DrivenFleet("w")
    (refusal,) = fleet.arrive(steps=100, deadline_s=0.5)
    assert refusal.outcome.predicted_s == pytest.approx(refusal.error.expected_s)
    assert refusal.outcome.predicted_s > 0.5
