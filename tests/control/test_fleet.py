import subprocess
import sys

import pytest

from control.driven_fleet import DrivenFleet, assigned
from control.makers import LARGE, SMALL, finished, request, spec, ticked, use
from safelight.control.commands import Deliver, Dismissed, GiveUp, Reject, Send
from safelight.control.events import Arrived, DrainBegan, PartChanged, TimePassed, Withdrawn
from safelight.core.errors import Draining, NotReady, UnknownModel
from safelight.core.pixels import Pixels
from safelight.core.source import PictureSource
from safelight.core.work import Cancel, Dropped, Failed, Paused, Ready, Started

SOURCE = PictureSource(image=Pixels(width=2, height=2, rgb=bytes(12)))
OUTLINE = use("outline")


def test_a_request_that_finds_room_is_assigned_at_once():
    assert assigned(DrivenFleet("w").arrive()) == [("one", "w", 1)]


def test_before_any_worker_has_joined_every_request_is_rejected_as_not_ready():
    (refusal,) = DrivenFleet().arrive(model="shapes-nowhere")
    assert isinstance(refusal.error, NotReady)
    assert refusal.outcome is None


def test_a_request_that_arrives_while_no_worker_lives_waits_for_the_next():
    fleet = DrivenFleet("w")
    fleet.leave("w")
    assert fleet.arrive() == []
    assert assigned(fleet.join("w.2")) == [("one", "w.2", 1)]


def test_a_request_for_a_model_that_no_worker_ever_served_is_rejected_without_a_record():
    (refusal,) = DrivenFleet("w").arrive(model="shapes-larg")
    assert isinstance(refusal.error, UnknownModel)
    assert "did you mean 'shapes-large'" in str(refusal.error)
    assert refusal.outcome is None


def test_a_finished_picture_is_delivered_with_the_times_it_took():
    fleet = DrivenFleet("w")
    fleet.arrive()
    fleet.report(Started(request_id="one"), now=2.0)
    (delivery,) = fleet.report(finished("one", compute_s=0.75), now=3.0)
    assert isinstance(delivery, Deliver)
    outcome = delivery.outcome
    assert (outcome.status, outcome.worker, outcome.retries) == ("finished", "w", 0)
    assert (outcome.queue_s, outcome.compute_s, outcome.total_s) == (2.0, 0.75, 3.0)


def test_a_row_that_comes_free_goes_to_the_earliest_due():
    fleet = DrivenFleet("w")
    fleet.arrive("running")
    fleet.arrive("patient")
    fleet.arrive("urgent", deadline_s=20.0)
    assert assigned(fleet.report(finished("running"), now=1.0)) == [("urgent", "w", 1)]


def test_a_failed_picture_is_given_up_with_the_reason_that_its_worker_gives():
    fleet = DrivenFleet("w")
    fleet.arrive()
    (end,) = fleet.report(Failed(request_id="one", message="The numbers are no longer finite."))
    assert isinstance(end, GiveUp)
    assert (str(end.error), end.error.reason) == ("The numbers are no longer finite.", "worker_failed")
    assert (end.outcome.status, end.outcome.reason) == ("failed", "worker_failed")


@pytest.mark.parametrize("event", [Dropped(request_id="one"), Paused(request_id="one", row=None)])
def test_a_row_that_its_worker_lets_go_unasked_is_a_failure(event):
    fleet = DrivenFleet("w")
    fleet.arrive()
    assert isinstance(fleet.report(event)[0], GiveUp)


def test_what_a_dead_worker_had_runs_again_elsewhere():
    fleet = DrivenFleet("w", "v")
    fleet.arrive()
    assert assigned(fleet.leave("w")) == [("one", "v", 2)]


def test_what_a_dead_worker_had_takes_its_old_place_in_the_queue():
    fleet = DrivenFleet("w")
    for name in ("first", "second", "third"):
        fleet.arrive(name)
        fleet.now += 1
    fleet.leave("w")
    assert fleet.waiting == ["first", "second", "third"]


def test_the_queue_time_of_a_retried_picture_lasts_until_its_last_attempt():
    fleet = DrivenFleet("w")
    fleet.arrive()
    fleet.report(Started(request_id="one"), now=1.0)
    fleet.leave("w")
    fleet.join("w.2")
    fleet.report(Started(request_id="one"), worker="w.2", now=5.0)
    (delivery,) = fleet.report(finished("one"), worker="w.2", now=6.0)
    assert (delivery.outcome.queue_s, delivery.outcome.retries) == (5.0, 1)


def test_a_request_that_has_lost_its_last_worker_is_given_up():
    fleet = DrivenFleet("w.1", max_attempts=3)
    fleet.arrive()
    for number in (1, 2):
        assert not any(isinstance(each, GiveUp) for each in fleet.leave(f"w.{number}"))
        fleet.join(f"w.{number + 1}")
    (end,) = fleet.leave("w.3")
    assert (end.error.reason, end.outcome.retries) == ("worker_lost", 2)
    assert "3 workers in a row" in str(end.error)
    assert "killed by signal 9" in str(end.error)


def test_the_last_attempt_of_a_request_has_its_worker_for_itself():
    fleet = DrivenFleet("w.1", max_denoiser_rows=8, max_attempts=2)
    fleet.arrive("one")
    fleet.arrive("two")
    fleet.leave("w.1")
    assert assigned(fleet.join("w.2")) == [("one", "w.2", 2)]


def test_a_late_event_of_a_dead_worker_is_ignored():
    fleet = DrivenFleet("w")
    fleet.arrive()
    fleet.leave("w")
    fleet.join("w.2")
    assert fleet.report(finished("one"), worker="w") == []
    assert set(fleet.running) == {"one"}


def test_what_a_worker_reports_of_a_request_that_it_does_not_have_is_ignored():
    fleet = DrivenFleet("w", "v")
    fleet.arrive()
    assert fleet.report(finished("one"), worker="v") == []
    fleet.report(ticked("one"), worker="v")
    assert fleet.running["one"].step == 0


def test_a_worker_that_left_before_it_joined_changes_nothing():
    assert DrivenFleet("w").leave("stranger") == []


def test_a_withdrawn_request_that_waits_is_dismissed_at_once():
    fleet = DrivenFleet("w")
    fleet.leave("w")
    fleet.arrive()
    (end,) = fleet.handle(Withdrawn("one"), now=4.0)
    assert isinstance(end, Dismissed)
    assert (end.outcome.status, end.outcome.reason, end.outcome.queue_s) == ("cancelled", "withdrawn", 4.0)


def test_a_withdrawn_request_that_runs_is_cancelled_and_ends_when_its_row_is_free():
    fleet = DrivenFleet("w")
    fleet.arrive()
    assert fleet.handle(Withdrawn("one")) == [Send("w", Cancel(request_id="one"))]
    assert fleet.running["one"].is_withdrawn
    (end,) = fleet.report(Dropped(request_id="one"))
    assert isinstance(end, Dismissed)


def test_the_row_of_a_withdrawn_request_is_given_away_only_when_it_is_free():
    fleet = DrivenFleet("w")
    fleet.arrive("one")
    fleet.arrive("two")
    assert assigned(fleet.handle(Withdrawn("one"))) == []
    assert assigned(fleet.report(Dropped(request_id="one"))) == [("two", "w", 1)]


@pytest.mark.parametrize("event", [finished("one"), Failed(request_id="one", message="no"), None])
def test_a_withdrawn_request_is_dismissed_however_its_work_ends(event):
    fleet = DrivenFleet("w")
    fleet.arrive()
    fleet.handle(Withdrawn("one"))
    (end,) = fleet.leave("w") if event is None else fleet.report(event)
    assert isinstance(end, Dismissed)


def test_a_wide_request_that_is_withdrawn_makes_way_for_a_narrow_one():
    fleet = DrivenFleet("w", max_denoiser_rows=2)
    fleet.arrive("running")
    fleet.arrive("wide", is_guided=True)
    fleet.arrive("narrow")
    assert fleet.waiting == ["wide", "narrow"]
    assert assigned(fleet.handle(Withdrawn("wide"))) == [("narrow", "w", 1)]


def test_withdrawing_twice_is_withdrawing_once():
    fleet = DrivenFleet("w")
    fleet.arrive()
    fleet.handle(Withdrawn("one"))
    assert fleet.handle(Withdrawn("one")) == []


def test_withdrawing_what_has_ended_does_nothing():
    fleet = DrivenFleet("w")
    fleet.arrive()
    fleet.finish("one")
    assert fleet.handle(Withdrawn("one")) == []


def test_a_full_queue_refuses_and_says_when_to_come_back():
    fleet = DrivenFleet("w", max_waiting=1)
    fleet.arrive("running")
    fleet.arrive("waiting")
    (refusal,) = fleet.arrive("late")
    assert isinstance(refusal, Reject)
    assert (refusal.error.reason, refusal.outcome.status) == ("queue_full", "rejected")
    assert refusal.error.retry_after_s >= 1


def test_a_full_queue_takes_what_finds_room_at_once():
    fleet = DrivenFleet(max_waiting=1)
    fleet.join("large", spec(LARGE))
    fleet.arrive("running")
    fleet.arrive("waiting")
    fleet.join("small", spec(SMALL))
    assert assigned(fleet.arrive("quick", model=SMALL)) == [("quick", "small", 1)]


def test_a_queue_without_places_takes_what_finds_room_at_once():
    fleet = DrivenFleet("w", max_waiting=0)
    assert assigned(fleet.arrive("one")) == [("one", "w", 1)]
    assert isinstance(fleet.arrive("two")[0], Reject)


def test_a_queue_is_full_with_the_bytes_of_pictures_that_came_along():
    fleet = DrivenFleet("w", max_waiting_bytes=2 * SOURCE.held_bytes)
    fleet.arrive("running")
    for name in ("a", "b"):
        fleet.arrive(name, source=SOURCE)
    (refusal,) = fleet.arrive("c", source=SOURCE)
    assert refusal.error.reason == "queue_full"


def test_a_queue_that_is_full_with_bytes_takes_what_has_none():
    fleet = DrivenFleet("w", max_waiting_bytes=SOURCE.held_bytes)
    fleet.arrive("running")
    fleet.arrive("picture", source=SOURCE)
    fleet.arrive("text")
    assert fleet.waiting == ["picture", "text"]


def test_a_picture_that_is_larger_than_the_limit_may_wait_alone():
    fleet = DrivenFleet("w", max_waiting_bytes=1)
    fleet.arrive("running")
    fleet.arrive("picture", source=SOURCE)
    assert fleet.waiting == ["picture"]


def test_work_of_a_dead_worker_is_kept_even_when_the_queue_is_full():
    fleet = DrivenFleet("w", max_waiting=1)
    fleet.arrive("running")
    fleet.arrive("waiting")
    assert fleet.leave("w") == []
    assert fleet.waiting == ["running", "waiting"]


def test_a_deadline_that_cannot_be_met_is_refused():
    (refusal,) = DrivenFleet("w").arrive(deadline_s=0.01)
    assert (refusal.error.reason, refusal.outcome.reason) == ("deadline_unmeetable", "deadline_unmeetable")


def test_while_draining_nothing_new_is_taken():
    fleet = DrivenFleet("w")
    fleet.handle(DrainBegan())
    assert isinstance(fleet.controller.refusal, Draining)
    (refusal,) = fleet.arrive()
    assert refusal.error.reason == refusal.outcome.reason == "draining"


def test_while_draining_accepted_work_goes_on_to_its_end():
    fleet = DrivenFleet("w")
    fleet.arrive("running")
    fleet.arrive("waiting")
    fleet.handle(DrainBegan())
    assert assigned(fleet.finish("running")) == [("waiting", "w", 1)]
    assert not fleet.controller.is_idle
    fleet.finish("waiting")
    assert fleet.controller.is_idle


def test_requests_are_taken_while_only_another_part_is_missing():
    fleet = DrivenFleet("w")
    fleet.handle(PartChanged("controlnets", "The ControlNets are being loaded."))
    assert str(fleet.controller.unreadiness) == "The ControlNets are being loaded."
    assert fleet.controller.refusal is None
    fleet.handle(PartChanged("controlnets", None))
    assert fleet.controller.unreadiness is None


def test_a_request_of_a_model_that_has_lost_its_last_worker_waits_a_while():
    fleet = DrivenFleet("w", orphan_wait_s=60.0)
    fleet.arrive()
    fleet.leave("w", now=100.0)
    assert fleet.handle(TimePassed(), now=159.0) == []
    (end,) = fleet.handle(TimePassed(), now=160.0)
    assert end.error.reason == "no_worker"


def test_a_request_that_arrives_while_nobody_serves_its_model_waits_a_while_from_its_arrival():
    fleet = DrivenFleet("w", orphan_wait_s=60.0)
    fleet.leave("w")
    fleet.now = 10.0
    fleet.arrive()
    assert fleet.handle(TimePassed(), now=69.0) == []
    assert isinstance(fleet.handle(TimePassed(), now=70.0)[0], GiveUp)


def test_a_request_may_wait_as_long_as_it_takes_for_a_busy_worker():
    fleet = DrivenFleet("w", orphan_wait_s=60.0)
    fleet.arrive("running")
    fleet.arrive("waiting")
    assert fleet.handle(TimePassed(), now=1e6) == []


def test_a_model_is_known_for_ever_and_served_while_a_worker_lives():
    fleet = DrivenFleet()
    fleet.join("w", spec(LARGE))
    assert fleet.controller.is_served(LARGE)
    fleet.leave("w")
    assert set(fleet.controller.models) == {LARGE}
    assert not fleet.controller.is_served(LARGE)


def test_a_second_ready_from_a_worker_changes_nothing():
    assert DrivenFleet("w").report(Ready(models=(), max_denoiser_rows=99)) == []


def test_progress_is_counted_tick_by_tick():
    fleet = DrivenFleet("w")
    fleet.arrive()
    fleet.report(Started(request_id="one"))
    for _ in range(3):
        fleet.report(ticked("one"))
    running = fleet.running["one"]
    assert (running.worker, running.step, running.attempt, running.has_started) == ("w", 3, 1, True)


def test_progress_brings_the_expected_finish_nearer():
    fleet = DrivenFleet("w")
    fleet.arrive()
    before_s = fleet.finish_s("one")
    for _ in range(3):
        fleet.report(ticked("one"))
    assert fleet.finish_s("one") == pytest.approx(before_s / 4)


def test_observed_ticks_change_what_is_expected():
    fleet = DrivenFleet("w")
    fleet.arrive()
    before_s = fleet.finish_s("one")
    for _ in range(100):
        fleet.report(ticked(seconds=0.06))
    assert fleet.finish_s("one") == pytest.approx(2 * before_s, rel=0.01)


def test_a_tick_of_another_size_changes_nothing_for_this_one():
    fleet = DrivenFleet("w", max_denoiser_rows=8)
    fleet.arrive()
    before_s = fleet.finish_s("one")
    fleet.report(ticked(side=128, seconds=0.6))
    assert fleet.finish_s("one") == before_s


def test_a_picture_that_is_being_decoded_is_still_expected():
    fleet = DrivenFleet("w")
    fleet.arrive()
    for _ in range(4):
        fleet.report(ticked("one"))
    assert fleet.finish_s("one", now=9.0) >= 9.0


def test_an_attempt_that_was_lost_counts_for_nothing():
    fleet = DrivenFleet("w")
    fleet.arrive()
    before_s = fleet.finish_s("one")
    fleet.report(Started(request_id="one"))
    fleet.report(ticked("one"))
    fleet.leave("w")
    fleet.join("w.2")
    running = fleet.running["one"]
    assert (running.step, running.has_started) == (0, False)
    assert fleet.finish_s("one") == before_s


def test_what_is_expected_moves_with_the_time_of_asking():
    fleet = DrivenFleet("w")
    fleet.arrive()
    assert fleet.finish_s("one", now=5.0) == pytest.approx(fleet.finish_s("one", now=0.0) + 5.0)


def test_nothing_is_expected_of_a_model_without_a_worker():
    fleet = DrivenFleet("w")
    fleet.leave("w")
    fleet.arrive()
    assert fleet.controller.expected(0.0) == {}


def test_a_start_that_has_happened_is_expected_now():
    fleet = DrivenFleet("w")
    fleet.arrive()
    fleet.report(Started(request_id="one"), now=2.0)
    assert fleet.controller.expected(7.0)["one"].start_s == 7.0


def test_the_position_counts_those_who_wait_ahead():
    fleet = DrivenFleet("w")
    for name in ("running", "first", "second"):
        fleet.arrive(name)
    positions = [fleet.controller.position(name) for name in ("running", "first", "second", "stranger")]
    assert positions == [None, 0, 1, None]


def test_the_load_of_a_worker_is_shown_in_pictures_and_rows():
    fleet = DrivenFleet("w", max_denoiser_rows=8)
    fleet.arrive("one")
    fleet.arrive("two", is_guided=True)
    (load,) = fleet.controller.workers
    assert (load.worker, load.models, load.pictures) == ("w", (LARGE, SMALL), 2)
    assert (load.denoiser_rows, load.max_denoiser_rows) == (3, 8)


def test_the_controller_loads_nothing_heavy():
    code = "import sys, safelight.control.fleet as _; print(sorted({'torch', 'numpy', 'asyncio'} & set(sys.modules)))"
    heavy = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert heavy.stdout.strip() == "[]"


def test_the_record_says_how_many_steps_ran_without_loras():
    fleet = DrivenFleet("w")
    fleet.offer("outline")
    fleet.arrive(loras=(OUTLINE,), grace_steps=3)
    (delivered,) = fleet.report(finished(steps_without_loras=2))
    assert delivered.outcome.steps_without_loras == 2


def test_a_request_that_names_a_missing_adapter_is_rejected_without_a_record():
    (refusal,) = DrivenFleet("w").arrive(loras=(OUTLINE,))
    assert (refusal.error.code, refusal.outcome) == ("adapter_not_found", None)


def test_the_controller_names_the_policy_of_each_family():
    assert DrivenFleet().controller.policies["routing"] == "soonest-finish"


def test_an_arrival_is_measured_from_when_the_request_arrived():
    fleet = DrivenFleet("w")
    fleet.now = 5.0
    fleet.handle(Arrived((request(arrived_s=2.0),)))
    (delivery,) = fleet.finish("one")
    assert delivery.outcome.total_s == 3.0
