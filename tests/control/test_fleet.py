import subprocess
import sys

import msgspec
import pytest
from safelight.control.station import FORETOLD_REQUESTS
from safelight.core.start import PictureStart

from control.makers import LARGE, SMALL, finished, ready, request, spec
from safelight.control.commands import Assign, Deliver, Dismissed, Foretell, GiveUp, Recall, Reject
from safelight.control.events import (
    Arrived,
    DrainBegan,
    Reported,
    TimePassed,
    Withdrawn,
    WorkerJoined,
    WorkerLeft,
)
from safelight.control.fleet import ControlConfig, FleetController
from safelight.core.adapter import AdapterUse
from safelight.core.pixels import Pixels
from safelight.core.work import Dropped, Failed, Ready, Started, Stepped, Ticked

PICTURE = Pixels(width=2, height=2, rgb=bytes(12))


class Fleet:
    """A controller with a hand on its clock."""

    def __init__(self, *workers, max_denoiser_rows=1, **settings):
        self.controller = FleetController(ControlConfig(lookahead_rows=0, **settings))
        self.now = 0.0
        self.room = max_denoiser_rows
        for worker in workers:
            self.join(worker)

    def tell(self, event, *, now=None):
        self.now = self.now if now is None else now
        return self.controller.handle(event, self.now)

    def arrive(self, name="one", **fields):
        return self.tell(Arrived(request(name, arrived_s=self.now, **fields)))

    def join(self, worker, *specs):
        return self.tell(WorkerJoined(worker, ready(*specs, max_denoiser_rows=self.room)))

    def leave(self, worker):
        return self.tell(WorkerLeft(worker, "killed by signal 9"))

    def report(self, event, *, worker="w", now=None):
        return self.tell(Reported(worker, event), now=now)

    @property
    def waiting(self):
        return [each.id for each in self.controller.waiting]

    @property
    def running(self):
        return {each.request.id: each for each in self.controller.running}


def assigned(commands):
    return [(each.job.request.id, each.worker, each.job.attempt) for each in commands if isinstance(each, Assign)]


def test_a_request_that_finds_room_is_assigned_at_once():
    assert assigned(Fleet("w").arrive()) == [("one", "w", 1)]


def test_a_request_that_arrives_before_any_worker_waits_for_the_first():
    fleet = Fleet()
    assert fleet.arrive() == []
    assert assigned(fleet.join("w")) == [("one", "w", 1)]


def test_a_finished_picture_is_delivered_with_the_times_it_took():
    fleet = Fleet("w")
    fleet.arrive()
    fleet.report(Started(request_id="one"), now=2.0)
    (delivery,) = fleet.report(finished("one", compute_s=0.75), now=3.0)
    assert isinstance(delivery, Deliver)
    outcome = delivery.outcome
    assert (outcome.status, outcome.worker, outcome.retries) == ("finished", "w", 0)
    assert (outcome.queue_s, outcome.compute_s, outcome.total_s) == (2.0, 0.75, 3.0)


def test_a_row_that_comes_free_goes_to_the_earliest_due():
    fleet = Fleet("w")
    fleet.arrive("running")
    fleet.arrive("patient")
    fleet.arrive("urgent", deadline_s=20.0)
    assert assigned(fleet.report(finished("running"), now=1.0)) == [("urgent", "w", 1)]


def test_a_failed_picture_is_given_up_with_the_workers_words():
    fleet = Fleet("w")
    fleet.arrive()
    (end,) = fleet.report(Failed(request_id="one", message="The numbers are no longer finite."))
    assert isinstance(end, GiveUp)
    assert (str(end.error), end.error.reason) == ("The numbers are no longer finite.", "worker_failed")
    assert (end.outcome.status, end.outcome.reason) == ("failed", "worker_failed")


def test_a_row_that_is_dropped_unasked_is_a_failure_not_a_silence():
    fleet = Fleet("w")
    fleet.arrive()
    assert isinstance(fleet.report(Dropped(request_id="one"))[0], GiveUp)


def test_what_a_dead_worker_had_runs_again_elsewhere():
    fleet = Fleet("w", "v")
    fleet.arrive()
    assert assigned(fleet.leave("w")) == [("one", "v", 2)]


def test_what_a_dead_worker_had_takes_its_old_place_in_the_queue():
    fleet = Fleet("w")
    for name in ("first", "second", "third"):
        fleet.arrive(name)
        fleet.now += 1
    fleet.leave("w")
    assert fleet.waiting == ["first", "second", "third"]


def test_the_queue_time_of_a_retried_picture_lasts_until_its_last_attempt():
    fleet = Fleet("w")
    fleet.arrive()
    fleet.report(Started(request_id="one"), now=1.0)
    fleet.leave("w")
    fleet.join("w.2")
    fleet.report(Started(request_id="one"), worker="w.2", now=5.0)
    (delivery,) = fleet.report(finished("one"), worker="w.2", now=6.0)
    assert (delivery.outcome.queue_s, delivery.outcome.retries) == (5.0, 1)


def test_a_request_that_has_lost_its_last_worker_is_given_up():
    fleet = Fleet("w.1", max_attempts=3)
    fleet.arrive()
    for number in (1, 2):
        assert not any(isinstance(each, GiveUp) for each in fleet.leave(f"w.{number}"))
        fleet.join(f"w.{number + 1}")
    (end,) = fleet.leave("w.3")
    assert (end.error.reason, end.outcome.retries) == ("worker_lost", 2)
    assert "3 workers in a row" in str(end.error)
    assert "killed by signal 9" in str(end.error)


def test_the_last_attempt_of_a_request_has_its_worker_for_itself():
    fleet = Fleet("w.1", max_denoiser_rows=8, max_attempts=2)
    fleet.arrive("one")
    fleet.arrive("two")
    fleet.leave("w.1")
    assert assigned(fleet.join("w.2")) == [("one", "w.2", 2)]


def test_a_late_word_from_a_dead_worker_is_ignored():
    fleet = Fleet("w")
    fleet.arrive()
    fleet.leave("w")
    fleet.join("w.2")
    assert fleet.report(finished("one"), worker="w") == []
    assert set(fleet.running) == {"one"}


def test_a_worker_speaks_only_for_what_it_has():
    fleet = Fleet("w", "v")
    fleet.arrive()
    assert fleet.report(finished("one"), worker="v") == []


def test_a_worker_that_left_before_it_joined_changes_nothing():
    assert Fleet("w").leave("stranger") == []


def test_a_withdrawn_request_that_waits_is_dismissed_at_once():
    fleet = Fleet()
    fleet.arrive()
    (end,) = fleet.tell(Withdrawn("one"), now=4.0)
    assert isinstance(end, Dismissed)
    assert (end.outcome.status, end.outcome.reason, end.outcome.queue_s) == ("cancelled", "withdrawn", 4.0)


def test_a_withdrawn_request_that_runs_is_recalled_and_ends_when_its_row_is_free():
    fleet = Fleet("w")
    fleet.arrive()
    assert fleet.tell(Withdrawn("one")) == [Recall("w", "one")]
    assert fleet.running["one"].is_withdrawn
    (end,) = fleet.report(Dropped(request_id="one"))
    assert isinstance(end, Dismissed)


def test_the_row_of_a_withdrawn_request_is_given_away_only_when_it_is_free():
    fleet = Fleet("w")
    fleet.arrive("one")
    fleet.arrive("two")
    assert assigned(fleet.tell(Withdrawn("one"))) == []
    assert assigned(fleet.report(Dropped(request_id="one"))) == [("two", "w", 1)]


@pytest.mark.parametrize("word", [finished("one"), Failed(request_id="one", message="no"), None])
def test_a_withdrawn_request_is_dismissed_however_its_work_ends(word):
    fleet = Fleet("w")
    fleet.arrive()
    fleet.tell(Withdrawn("one"))
    (end,) = fleet.leave("w") if word is None else fleet.report(word)
    assert isinstance(end, Dismissed)


def test_a_wide_request_that_gives_up_waiting_makes_way_for_a_narrow_one():
    fleet = Fleet("w", max_denoiser_rows=2)
    fleet.arrive("running")
    fleet.arrive("wide", is_guided=True)
    fleet.arrive("narrow")
    assert fleet.waiting == ["wide", "narrow"]
    assert assigned(fleet.tell(Withdrawn("wide"))) == [("narrow", "w", 1)]


def test_withdrawing_twice_is_withdrawing_once():
    fleet = Fleet("w")
    fleet.arrive()
    fleet.tell(Withdrawn("one"))
    assert fleet.tell(Withdrawn("one")) == []


def test_withdrawing_what_has_ended_does_nothing():
    fleet = Fleet("w")
    fleet.arrive()
    fleet.report(finished("one"))
    assert fleet.tell(Withdrawn("one")) == []


def test_a_full_queue_refuses_and_says_when_to_come_back():
    fleet = Fleet("w", max_waiting=1)
    fleet.arrive("running")
    fleet.arrive("waiting")
    (refusal,) = fleet.arrive("late")
    assert isinstance(refusal, Reject)
    assert (refusal.error.reason, refusal.outcome.status) == ("queue_full", "rejected")
    assert refusal.error.retry_after_s >= 1


def test_a_full_queue_takes_what_finds_room_at_once():
    fleet = Fleet(max_waiting=1)
    fleet.join("large", spec(LARGE))
    fleet.arrive("running")
    fleet.arrive("waiting")
    fleet.join("small", spec(SMALL))
    assert assigned(fleet.arrive("quick", model=SMALL)) == [("quick", "small", 1)]


def test_a_queue_without_places_takes_what_finds_room_at_once():
    fleet = Fleet("w", max_waiting=0)
    assert assigned(fleet.arrive("one")) == [("one", "w", 1)]
    assert isinstance(fleet.arrive("two")[0], Reject)


def test_a_queue_is_full_with_the_bytes_of_pictures_that_came_along():
    fleet = Fleet("w", max_waiting_bytes=2 * PICTURE.held_bytes)
    fleet.arrive("running")
    for name in ("a", "b"):
        fleet.arrive(name, start=PictureStart(image=PICTURE))
    (refusal,) = fleet.arrive("c", start=PictureStart(image=PICTURE))
    assert refusal.error.reason == "queue_full"


def test_a_queue_that_is_full_with_bytes_takes_what_has_none():
    fleet = Fleet("w", max_waiting_bytes=PICTURE.held_bytes)
    fleet.arrive("running")
    fleet.arrive("picture", start=PictureStart(image=PICTURE))
    fleet.arrive("text")
    assert fleet.waiting == ["picture", "text"]


def test_a_picture_that_is_larger_than_the_limit_may_wait_alone():
    fleet = Fleet("w", max_waiting_bytes=1)
    fleet.arrive("running")
    fleet.arrive("picture", start=PictureStart(image=PICTURE))
    assert fleet.waiting == ["picture"]


def test_work_of_a_dead_worker_is_kept_even_when_the_queue_is_full():
    fleet = Fleet("w", max_waiting=1)
    fleet.arrive("running")
    fleet.arrive("waiting")
    assert fleet.leave("w") == []
    assert fleet.waiting == ["running", "waiting"]


def test_a_deadline_that_cannot_be_met_is_refused():
    (refusal,) = Fleet("w").arrive(deadline_s=0.01)
    assert (refusal.error.reason, refusal.outcome.reason) == ("deadline_unmeetable", "deadline_unmeetable")


def test_while_draining_nothing_new_is_taken():
    fleet = Fleet("w")
    fleet.tell(DrainBegan())
    assert fleet.controller.is_draining
    (refusal,) = fleet.arrive()
    assert refusal.error.reason == "draining"


def test_while_draining_accepted_work_goes_on_to_its_end():
    fleet = Fleet("w")
    fleet.arrive("running")
    fleet.arrive("waiting")
    fleet.tell(DrainBegan())
    assert assigned(fleet.report(finished("running"))) == [("waiting", "w", 1)]
    assert not fleet.controller.is_drained
    fleet.report(finished("waiting"))
    assert fleet.controller.is_drained


def test_an_idle_fleet_that_is_not_draining_is_not_drained():
    assert not Fleet("w").controller.is_drained


def test_a_request_of_a_model_that_has_lost_its_last_worker_waits_a_while():
    fleet = Fleet("w", orphan_wait_s=60.0)
    fleet.arrive()
    fleet.tell(WorkerLeft("w", "killed"), now=100.0)
    assert fleet.tell(TimePassed(), now=159.0) == []
    (end,) = fleet.tell(TimePassed(), now=160.0)
    assert end.error.reason == "no_worker"


def test_a_request_that_was_never_served_waits_a_while_from_its_arrival():
    fleet = Fleet(orphan_wait_s=60.0)
    fleet.now = 10.0
    fleet.arrive()
    assert fleet.tell(TimePassed(), now=69.0) == []
    assert isinstance(fleet.tell(TimePassed(), now=70.0)[0], GiveUp)


def test_a_request_may_wait_as_long_as_it_takes_for_a_busy_worker():
    fleet = Fleet("w", orphan_wait_s=60.0)
    fleet.arrive("running")
    fleet.arrive("waiting")
    assert fleet.tell(TimePassed(), now=1e6) == []


def test_a_model_is_known_for_ever_and_served_while_a_worker_lives():
    fleet = Fleet()
    fleet.join("w", spec(LARGE))
    assert fleet.controller.is_served(LARGE)
    fleet.leave("w")
    assert set(fleet.controller.models) == {LARGE}
    assert not fleet.controller.is_served(LARGE)


def test_a_second_ready_from_a_worker_changes_nothing():
    assert Fleet("w").report(Ready(models=(), max_denoiser_rows=99)) == []


def test_progress_is_told_step_by_step():
    fleet = Fleet("w")
    fleet.arrive()
    fleet.report(Started(request_id="one"))
    fleet.report(Stepped(request_id="one", step=3, steps=4))
    running = fleet.running["one"]
    assert (running.worker, running.step, running.attempt, running.has_started) == ("w", 3, 1, True)


def test_progress_brings_the_expected_finish_nearer():
    fleet = Fleet("w")
    fleet.arrive()
    before_s = fleet.controller.expected_finish_s("one", 0.0)
    fleet.report(Stepped(request_id="one", step=3, steps=4))
    assert fleet.controller.expected_finish_s("one", 0.0) == pytest.approx(before_s / 4)


def test_observed_ticks_change_what_is_expected():
    fleet = Fleet("w")
    fleet.arrive()
    before_s = fleet.controller.expected_finish_s("one", 0.0)
    for _ in range(100):
        fleet.report(Ticked(model=LARGE, denoiser_rows=1, seconds=0.06))
    assert fleet.controller.expected_finish_s("one", 0.0) == pytest.approx(2 * before_s, rel=0.01)


def test_a_tick_of_mixed_sizes_teaches_nothing():
    fleet = Fleet("w", max_denoiser_rows=8)
    fleet.arrive("one")
    fleet.arrive("wide", side=128)
    before_s = fleet.controller.expected_finish_s("one", 0.0)
    fleet.report(Ticked(model=LARGE, denoiser_rows=1, seconds=0.06))
    assert fleet.controller.expected_finish_s("one", 0.0) == before_s


def test_a_picture_that_is_being_decoded_is_still_expected():
    fleet = Fleet("w")
    fleet.arrive()
    fleet.report(Stepped(request_id="one", step=4, steps=4))
    assert fleet.controller.expected_finish_s("one", 9.0) >= 9.0


def test_an_attempt_that_was_lost_counts_for_nothing():
    fleet = Fleet("w")
    fleet.arrive()
    before_s = fleet.controller.expected_finish_s("one", 0.0)
    fleet.report(Started(request_id="one"))
    fleet.report(Stepped(request_id="one", step=3, steps=4))
    fleet.leave("w")
    fleet.join("w.2")
    running = fleet.running["one"]
    assert (running.step, running.has_started) == (0, False)
    assert fleet.controller.expected_finish_s("one", 0.0) == before_s


def test_what_is_expected_moves_with_the_time_of_asking():
    fleet = Fleet("w")
    fleet.arrive()
    first_s, second_s = (fleet.controller.expected_finish_s("one", now) for now in (0.0, 5.0))
    assert second_s == pytest.approx(first_s + 5.0)


def test_nothing_is_expected_of_a_model_without_a_worker():
    fleet = Fleet()
    fleet.arrive()
    assert fleet.controller.expected_finish_s("one", 0.0) is None


def test_nothing_is_expected_of_a_stranger():
    assert Fleet("w").controller.expected_start_s("stranger", 0.0) is None


def test_a_start_that_has_happened_is_remembered():
    fleet = Fleet("w")
    fleet.arrive()
    fleet.report(Started(request_id="one"), now=2.0)
    assert fleet.controller.expected_start_s("one", 7.0) == 2.0


def test_the_position_counts_those_who_wait_ahead():
    fleet = Fleet("w")
    for name in ("running", "first", "second"):
        fleet.arrive(name)
    positions = [fleet.controller.position(name) for name in ("running", "first", "second")]
    assert positions == [None, 0, 1]


def test_the_load_of_a_worker_is_told_in_pictures_and_rows():
    fleet = Fleet("w", max_denoiser_rows=8)
    fleet.arrive("one")
    fleet.arrive("two", is_guided=True)
    (load,) = fleet.controller.workers
    assert (load.worker, load.models, load.pictures) == ("w", (LARGE, SMALL), 2)
    assert (load.denoiser_rows, load.max_denoiser_rows) == (3, 8)


def test_the_controller_loads_nothing_heavy():
    code = "import sys, safelight.control.fleet as _; print(sorted({'torch', 'numpy', 'asyncio'} & set(sys.modules)))"
    heavy = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert heavy.stdout.strip() == "[]"


OUTLINE, MASK = AdapterUse(name="outline@1", scale=1.0), AdapterUse(name="mask@1", scale=1.0)


def foretold(commands):
    return [(each.worker, each.adapters) for each in commands if isinstance(each, Foretell)]


def test_a_worker_hears_of_the_adapters_of_requests_that_wait_in_their_order():
    fleet = Fleet("w")
    fleet.arrive("painting")
    assert foretold(fleet.arrive("first", loras=(OUTLINE,))) == [("w", ("outline@1",))]
    assert foretold(fleet.arrive("urgent", loras=(MASK, OUTLINE), deadline_s=20.0)) == [("w", ("mask@1", "outline@1"))]


def test_a_worker_hears_nothing_of_a_request_that_it_gets_at_once():
    assert foretold(Fleet("w").arrive(loras=(OUTLINE,))) == []


def test_a_worker_hears_only_what_is_news():
    fleet = Fleet("w")
    fleet.arrive("painting")
    fleet.arrive("first", loras=(OUTLINE,))
    assert foretold(fleet.arrive("second", loras=(OUTLINE,))) == []
    assert foretold(fleet.arrive("third")) == []


def test_a_worker_hears_only_of_models_that_it_serves():
    fleet = Fleet()
    fleet.join("w", spec(LARGE))
    fleet.join("v", spec(SMALL))
    for name, model in (("one", LARGE), ("two", SMALL)):
        fleet.arrive(name, model=model)
    assert foretold(fleet.arrive("late", model=SMALL, loras=(OUTLINE,))) == [("v", ("outline@1",))]


def test_a_worker_that_joins_hears_what_waits_for_others():
    fleet = Fleet()
    for number in range(2):
        fleet.arrive(f"r{number}", loras=((OUTLINE, MASK)[number],))
    assert foretold(fleet.join("w")) == [("w", ("mask@1",))]


def test_what_was_foretold_is_taken_back_when_nobody_waits_for_it():
    fleet = Fleet("w")
    fleet.arrive("painting")
    fleet.arrive("first", loras=(OUTLINE,))
    assert foretold(fleet.tell(Withdrawn("first"))) == [("w", ())]


def test_only_the_first_of_many_that_wait_are_foretold():
    fleet = Fleet("w", max_waiting=1000)
    fleet.arrive("painting")
    for number in range(FORETOLD_REQUESTS + 1):
        said = foretold(fleet.arrive(f"r{number}", loras=(AdapterUse(name=f"a{number}@1", scale=1.0),)))
        assert bool(said) == (number < FORETOLD_REQUESTS)


def test_the_record_tells_how_many_steps_ran_without_loras():
    fleet = Fleet("w")
    fleet.arrive(loras=(OUTLINE,), grace_steps=3)
    (delivered,) = fleet.report(msgspec.structs.replace(finished(), steps_without_loras=2))
    assert delivered.outcome.steps_without_loras == 2
