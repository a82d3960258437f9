"""Requests that pass through several levels."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from control.cascade import THRESHOLD, Cascade
from control.driven_fleet import DrivenFleet, assigned, ends
from control.makers import LARGE, SMALL, finished, request, spec, use
from safelight.control.commands import Deliver, Dismissed, GiveUp, Send
from safelight.control.events import Arrived, TimePassed, Withdrawn
from safelight.control.policies import Policies
from safelight.core.errors import AdapterMisfit
from safelight.core.work import Failed, Run, Started

BELOW, ENOUGH = THRESHOLD - 0.1, THRESHOLD
SCORES = st.sampled_from([None, BELOW, ENOUGH, 1.0])


def cascade(**settings):
    """A worker for each stage."""
    fleet = DrivenFleet(policies=Policies(level=Cascade()), **settings)
    fleet.join("small", spec(SMALL))
    fleet.join("large", spec(LARGE))
    return fleet


def escalated(**settings):
    """A fleet whose request waits for, or is in, its second stage."""
    fleet = cascade(**settings)
    fleet.arrive(model=None)
    fleet.report(Started(request_id="one"), worker="small", now=1.0)
    fleet.finish("one", worker="small", now=3.0)
    return fleet


def levels(commands):
    return [
        (each.worker, each.command.job.level.model, each.command.job.stage, each.command.job.attempt)
        for each in commands
        if isinstance(each, Send) and isinstance(each.command, Run)
    ]


def report_finished(fleet, score, *, worker):
    return fleet.report(finished("one", score=score), worker=worker)


def test_a_route_begins_with_its_first_level():
    assert levels(cascade().arrive(model=None)) == [("small", SMALL, 0, 1)]


def test_what_a_client_has_set_is_kept_by_every_level():
    fleet = cascade()
    (first,) = fleet.arrive(model=None, steps=3)
    (second,) = report_finished(fleet, None, worker="small")
    assert [each.command.job.level.steps for each in (first, second)] == [3, 3]


@pytest.mark.parametrize("score", [ENOUGH, 1.0])
def test_a_picture_that_its_gate_accepts_is_delivered(score):
    fleet = cascade()
    fleet.arrive(model=None)
    (delivery,) = report_finished(fleet, score, worker="small")
    assert isinstance(delivery, Deliver)
    assert [stage.score for stage in delivery.outcome.stages] == [score]


@pytest.mark.parametrize("score", [None, BELOW])
def test_a_picture_that_its_gate_does_not_accept_goes_on_to_the_next_level(score):
    fleet = cascade()
    fleet.arrive(model=None)
    assert levels(report_finished(fleet, score, worker="small")) == [("large", LARGE, 1, 1)]


@pytest.mark.parametrize("score", [None, BELOW, ENOUGH])
def test_the_picture_of_the_last_level_is_delivered_whatever_its_score(score):
    fleet = escalated()
    assert isinstance(report_finished(fleet, score, worker="large")[0], Deliver)


def test_each_stage_is_recorded_with_its_own_times_and_worker():
    fleet = escalated()
    fleet.report(Started(request_id="one"), worker="large", now=3.5)
    (delivery,) = fleet.finish("one", worker="large", now=5.0)
    recorded = [
        (stage.level.model, stage.worker, stage.queue_s, stage.compute_s, stage.retries)
        for stage in delivery.outcome.stages
    ]
    assert recorded == [(SMALL, "small", 1.0, 0.5, 0), (LARGE, "large", 0.5, 0.5, 0)]
    assert delivery.outcome.total_s == 5.0


def test_a_worker_that_is_lost_in_the_second_stage_costs_only_that_stage():
    fleet = escalated()
    assert levels(fleet.leave("large") + fleet.join("large.2", spec(LARGE))) == [("large.2", LARGE, 1, 2)]
    (delivery,) = fleet.finish("one", worker="large.2")
    assert [stage.retries for stage in delivery.outcome.stages] == [0, 1]


def test_each_stage_has_all_of_its_attempts():
    fleet = cascade(max_attempts=2)
    fleet.arrive(model=None)
    fleet.leave("small")
    fleet.join("small.2", spec(SMALL))
    fleet.finish("one", worker="small.2")
    assert ends(fleet.leave("large")) == []
    fleet.join("large.2", spec(LARGE))
    (end,) = ends(fleet.leave("large.2"))
    assert (end.error.reason, [stage.retries for stage in end.outcome.stages]) == ("worker_lost", [1, 1])


def test_a_request_that_is_withdrawn_between_stages_is_dismissed_at_once():
    fleet = cascade()
    fleet.arrive("busy", model=LARGE)
    fleet.arrive(model=None)
    fleet.finish("one", worker="small", now=2.0)
    assert fleet.waiting == ["one"]
    (end,) = fleet.handle(Withdrawn("one"), now=3.0)
    assert isinstance(end, Dismissed)
    assert [(stage.level.model, stage.worker, stage.queue_s) for stage in end.outcome.stages] == [
        (SMALL, "small", 2.0),
        (LARGE, None, 1.0),
    ]


def test_a_request_that_was_withdrawn_goes_on_to_no_further_level():
    fleet = cascade()
    fleet.arrive(model=None)
    fleet.handle(Withdrawn("one"))
    (end,) = report_finished(fleet, BELOW, worker="small")
    assert isinstance(end, Dismissed)


def test_a_failure_in_the_second_stage_is_recorded_behind_the_first():
    fleet = escalated()
    (end,) = fleet.report(Failed(request_id="one", message="no"), worker="large")
    assert isinstance(end, GiveUp)
    assert [stage.worker for stage in end.outcome.stages] == ["small", "large"]


def test_a_later_stage_keeps_the_place_of_its_request_in_the_queue():
    fleet = cascade()
    fleet.arrive("busy", model=LARGE)
    fleet.arrive(model=None)
    fleet.now = 1.0
    fleet.arrive("later", model=LARGE)
    fleet.finish("one", worker="small")
    assert fleet.waiting == ["one", "later"]


def test_a_later_stage_waits_even_in_a_full_queue():
    fleet = cascade(max_waiting=1)
    fleet.arrive("busy", model=LARGE)
    fleet.arrive(model=None)
    fleet.arrive("waiting", model=LARGE)
    assert ends(fleet.finish("one", worker="small")) == []
    assert fleet.waiting == ["one", "waiting"]


def test_a_request_may_wait_for_a_worker_of_its_second_level_from_when_the_first_has_ended():
    fleet = cascade(orphan_wait_s=60.0)
    fleet.arrive(model=None)
    fleet.leave("large", now=10.0)
    fleet.finish("one", worker="small", now=20.0)
    assert fleet.handle(TimePassed(), now=79.0) == []
    (end,) = fleet.handle(TimePassed(), now=80.0)
    assert end.error.reason == "no_worker"


def test_the_progress_of_a_stage_begins_anew():
    running = escalated().running["one"]
    assert (running.stage, running.step, running.has_started, running.level.model) == (1, 0, False, LARGE)


def test_an_adapter_must_fit_every_level():
    fleet = cascade()
    fleet.offer("outline", worker="small", model=SMALL)
    (refusal,) = fleet.handle(Arrived((request(model=None, loras=(use("outline"),)),)))
    assert isinstance(refusal.error, AdapterMisfit)
    assert fleet.controller.requests_with(fleet.controller.adapters[0].handle) == 0


@given(scores=st.lists(SCORES, min_size=2, max_size=2), times=st.lists(st.floats(0, 100), min_size=4, max_size=4))
def test_the_sums_of_a_record_are_those_of_its_stages(scores, times):
    fleet = cascade()
    fleet.arrive(model=None)
    commands = []
    for worker, score, begin_s, end_s in zip(("small", "large"), scores, times[::2], times[1::2], strict=True):
        fleet.report(Started(request_id="one"), worker=worker, now=fleet.now + begin_s)
        fleet.now += end_s
        commands = report_finished(fleet, score, worker=worker)
        if isinstance(commands[0], Deliver):
            break
    outcome = commands[0].outcome
    assert outcome.total_s == fleet.now
    assert outcome.queue_s == sum(stage.queue_s for stage in outcome.stages)
    assert outcome.compute_s == 0.5 * len(outcome.stages)
    assert outcome.queue_s <= outcome.total_s + 1e-9
    assert len(outcome.stages) == (1 if scores[0] in {ENOUGH, 1.0} else 2)
    assert assigned(commands) == []


def keeping(deadline_s, *, share=1.0):
    """A cascade whose light picture is the answer if the heavy one would be late, with a request in its first stage."""
    fleet = DrivenFleet(policies=Policies(level=Keeping(share=share)))
    fleet.join("small", spec(SMALL))
    fleet.join("large", spec(LARGE))
    fleet.arrive(model=None, deadline_s=deadline_s)
    return fleet


@dataclass(frozen=True, kw_only=True)
class Keeping:
    share: float
    name: ClassVar[str] = "keeping"

    def route(self, request, models, load):
        route = Cascade().route(request, models)
        gates = tuple(replace(gate, share=self.share, keeps_deadline=True) for gate in route.gates)
        return replace(route, gates=gates)


@pytest.mark.parametrize(("at", "ends"), [(0.5, False), (59.9, True)])
def test_a_picture_that_is_not_good_enough_is_the_answer_if_a_better_one_would_be_late(at, ends):
    fleet = keeping(60.0)
    commands = fleet.report(finished("one", score=BELOW), worker="small", now=at)
    assert isinstance(commands[0], Deliver) == ends


def test_a_later_stage_counts_with_the_probability_that_it_is_run():
    work = {}
    for share in (0.0, 0.5, 1.0):
        (state,) = keeping(60.0, share=share).controller._fleet.requests.values()
        work[share] = state.work_s
    assert work[0.5] == pytest.approx((work[0.0] + work[1.0]) / 2)
    assert work[0.0] < work[1.0]
