"""The worker's loop over engines that misbehave in known ways."""

from collections.abc import Sequence
from queue import SimpleQueue

from fakes.null_engine import LATENTS_BYTES, NullEngine
from safelight.core.job import PausedRow
from safelight.core.source import LatentsHandle
from safelight.core.work import (
    Cancel,
    Captured,
    DropLatents,
    FetchLatents,
    Finished,
    LatentsDropped,
    LatentsFetched,
    Pause,
    Paused,
    Previewed,
    PutLatents,
    Ready,
    Run,
    Started,
    Ticked,
    WorkerEvent,
)
from safelight.worker.loop import Inbox
from worker.players import after_steps, job, loop, message_of, once, play, steps_of


def jobs(*some):
    return [Run(job=each) for each in some]


def kinds(events: Sequence[WorkerEvent], request_id: str) -> list[str]:
    """The kinds of events that concern a picture."""
    mine = [
        event
        for event in events
        if request_id == getattr(event, "request_id", None) or request_id in getattr(event, "request_ids", ())
    ]
    return [type(event).__name__ for event in mine]


def test_the_first_event_names_the_models():
    first = play(NullEngine(), jobs(job("a")))[0]
    assert isinstance(first, Ready)
    assert [model.name for model in first.models] == ["null-large", "null-small"]


def test_a_job_starts_steps_and_finishes_in_that_order():
    assert kinds(play(NullEngine(), jobs(job("a"))), "a") == ["Started", "Ticked", "Ticked", "Ticked", "Finished"]


def test_jobs_that_fit_share_their_ticks():
    events = play(NullEngine(), jobs(job("a"), job("b", guidance_scale=4.0)))
    assert [event.denoiser_rows for event in events if isinstance(event, Ticked)] == [3, 3, 3]


def test_a_cancelled_row_frees_its_place_at_the_next_step():
    early = after_steps(1, "a", lambda: [Cancel(request_id="a")])
    events = play(NullEngine(), jobs(job("a", steps=100), job("b", steps=100)), early, max_denoiser_rows=1)
    assert kinds(events, "a") == ["Started", "Ticked", "Dropped"]
    assert kinds(events, "b")[-1] == "Finished"


def test_cancelling_an_unknown_job_is_ignored():
    events = play(NullEngine(), jobs(job("a")), once(Started, lambda: [Cancel(request_id="ghost")]))
    assert kinds(events, "a")[-1] == "Finished"


def test_previews_come_as_often_as_asked_but_not_with_the_last_step():
    events = play(NullEngine(), jobs(job("a", steps=6, previews=3), job("b", steps=6)))
    shown = [(event.request_id, event.step, event.steps) for event in events if isinstance(event, Previewed)]
    assert shown == [("a", 2, 6), ("a", 4, 6)]


def pause_after(steps):
    """Pause a row after some steps."""
    return after_steps(steps, "a", lambda: [Pause(request_id="a")])


def test_a_paused_row_is_handed_out_and_its_neighbour_goes_on():
    events = play(NullEngine(), jobs(job("a", steps=5), job("b", steps=5)), pause_after(2))
    assert kinds(events, "a") == ["Started", "Ticked", "Ticked", "Paused"]
    assert kinds(events, "b")[-1] == "Finished"


def test_a_row_goes_on_where_it_was_paused():
    events = play(NullEngine(), jobs(job("a", steps=5)), pause_after(2))
    (paused,) = [event.row for event in events if isinstance(event, Paused)]
    later = play(NullEngine(), jobs(job("a", steps=5, paused=paused)))
    assert (paused.steps_run, steps_of(later, "a")) == (2, 3)
    assert kinds(later, "a")[-1] == "Finished"


def test_compute_seconds_go_on_where_a_row_was_paused():
    paused = PausedRow(steps_run=1, compute_s=100.0, file=b"a circle")
    (finished,) = [event for event in play(NullEngine(), jobs(job("a", paused=paused))) if isinstance(event, Finished)]
    assert finished.compute_s > 100


def test_a_row_that_is_paused_before_it_begins_is_handed_out_as_it_came():
    paused = PausedRow(steps_run=1, file=b"a circle")
    early = once(Started, lambda: [Pause(request_id="late")], request_id="a")
    events = play(NullEngine(), jobs(job("a"), job("late", paused=paused)), early, max_denoiser_rows=1)
    assert [event.row for event in events if isinstance(event, Paused)] == [paused]


def test_pausing_an_unknown_job_is_ignored():
    events = play(NullEngine(), jobs(job("a")), once(Started, lambda: [Pause(request_id="ghost")]))
    assert kinds(events, "a")[-1] == "Finished"


def test_estimates_are_handed_out_at_the_levels_asked_for():
    events = play(NullEngine(), jobs(job("a", steps=4, captures=(0.75, 0.25)), job("b", steps=4)))
    handed = [(event.request_id, event.noise) for event in events if isinstance(event, Captured)]
    assert handed == [("a", 0.75), ("a", 0.25)]


def fetched(events):
    return [(event.handle.id, event.file) for event in events if isinstance(event, LatentsFetched)]


def test_estimates_can_be_fetched_when_their_picture_is_there():
    handle = LatentsHandle(id="a:0.75")
    asked = once(Finished, lambda: [FetchLatents(handle=handle), *jobs(job("b"))], request_id="a")
    assert fetched(play(NullEngine(), jobs(job("a", steps=4, captures=(0.75,))), asked)) == [("a:0.75", b"a")]


def test_estimates_that_were_dropped_or_never_made_cannot_be_fetched():
    made, ghost = LatentsHandle(id="a:0.75"), LatentsHandle(id="ghost")
    commands = [DropLatents(handle=made), DropLatents(handle=ghost), *(FetchLatents(handle=h) for h in (made, ghost))]
    asked = once(Finished, lambda: [*commands, *jobs(job("b"))], request_id="a")
    events = play(NullEngine(), jobs(job("a", steps=4, captures=(0.75,))), asked)
    assert fetched(events) == [("a:0.75", None), ("ghost", None)]


def test_a_picture_starts_from_latents_that_were_sent():
    sent, broken = LatentsHandle(id="sent"), LatentsHandle(id="broken")
    puts = [PutLatents(handle=sent, file=b"latents"), PutLatents(handle=broken, file=b"broken")]
    fetches = [FetchLatents(handle=sent), FetchLatents(handle=broken)]
    events = play(NullEngine(), [*puts, *fetches, *jobs(job("good", start=sent), job("bad", start=broken))])
    assert [event.handle for event in events if isinstance(event, LatentsDropped)] == [broken]
    assert fetched(events) == [("sent", b"latents"), ("broken", None)]
    assert [kinds(events, name)[-1] for name in ("good", "bad")] == ["Finished", "Failed"]
    assert "could not be prepared: The latents file cannot be used: 'broken' is not here." in message_of(events, "bad")


def test_the_oldest_estimates_are_dropped_when_there_are_too_many():
    engine = NullEngine()
    some = jobs(*(job(name, steps=4, captures=(1.0, 0.5)) for name in "ab"))
    events = play(engine, some, max_denoiser_rows=1, latents_bytes=3 * LATENTS_BYTES)
    assert [event.handle.id for event in events if isinstance(event, LatentsDropped)] == ["a:1.0"]
    assert [handle.id for handle in engine.kept] == ["a:0.5", "b:1.0", "b:0.5"]


def test_a_row_that_starts_later_runs_the_steps_that_are_left():
    assert steps_of(play(NullEngine(), jobs(job("a", steps=5, first_step=3))), "a") == 2


class ChokingEngine(NullEngine):
    """Cannot encode prompts that say so, nor step rows that say so."""

    def begin(self, jobs):
        if any("indigestible" in job.request.prompt for job in jobs):
            raise RuntimeError("out of memory")
        super().begin(jobs)

    def step(self, request_ids):
        if any("poison" in self._jobs[request_id].request.prompt for request_id in request_ids):
            raise RuntimeError("out of memory")
        return tuple(name for name in request_ids if "overflow" in self._jobs[name].request.prompt)


def test_a_prompt_that_cannot_be_encoded_fails_alone():
    events = play(ChokingEngine(), jobs(job("good"), job("bad", prompt="indigestible"), job("fine")))
    assert [kinds(events, name)[-1] for name in ("good", "bad", "fine")] == ["Finished", "Failed", "Finished"]


def test_a_failed_tick_fails_its_rows_and_the_worker_goes_on():
    events = play(ChokingEngine(), jobs(job("bad", prompt="poison"), job("next", model="null-small")))
    assert [kinds(events, name)[-1] for name in ("bad", "next")] == ["Failed", "Finished"]


def test_a_row_that_overflows_fails_alone():
    events = play(ChokingEngine(), jobs(job("good"), job("bad", prompt="overflow")))
    assert [kinds(events, name)[-1] for name in ("good", "bad")] == ["Finished", "Failed"]


def test_compute_seconds_cover_every_tick_of_the_picture():
    events = play(NullEngine(step_s=0.002), jobs(job("a")))
    ticked_s = sum(event.seconds for event in events if isinstance(event, Ticked))
    (finished,) = (event for event in events if isinstance(event, Finished))
    assert finished.compute_s >= ticked_s


def test_the_end_of_the_inbox_ends_the_loop():
    inbox: Inbox = SimpleQueue()
    inbox.put(None)
    events: list[WorkerEvent] = []
    loop(NullEngine(), inbox=inbox, send=events.append).run()
    assert [type(event) for event in events] == [Ready]
