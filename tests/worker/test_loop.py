"""The worker's loop over engines that misbehave in known ways."""

from collections.abc import Callable, Sequence
from queue import SimpleQueue

import pytest

from fakes.null_engine import NullEngine
from safelight.core.request import ImageRequest
from safelight.core.work import (
    Cancel,
    Captured,
    Dropped,
    Failed,
    Finished,
    Job,
    Pause,
    Paused,
    PausedRow,
    Ready,
    Run,
    Started,
    Stepped,
    Stop,
    Ticked,
    WorkerEvent,
)
from safelight.worker.engine import Engine
from safelight.worker.loop import Inbox, WorkerLoop


def ask(request_id: str, **fields) -> ImageRequest:
    defaults = {
        "model": "null-large",
        "prompt": "a circle",
        "width": 64,
        "height": 64,
        "steps": 3,
        "guidance_scale": 1.0,
        "sampler": "euler",
        "seed": 1,
        "arrived_s": 0.0,
    }
    return ImageRequest(id=request_id, **(defaults | fields))


@pytest.fixture
def play():
    """Run a loop over some jobs until as many have ended; `react` may answer an event with commands."""

    def run(
        engine: Engine,
        requests: Sequence[ImageRequest | Job],
        react: Callable[[WorkerEvent], list] = lambda event: [],
        *,
        max_denoiser_rows: int = 32,
    ) -> list[WorkerEvent]:
        inbox: Inbox = SimpleQueue()
        events: list[WorkerEvent] = []
        ended = 0

        def send(event: WorkerEvent) -> None:
            nonlocal ended
            events.append(event)
            for command in react(event):
                inbox.put(command)
            ended += isinstance(event, (Finished, Failed, Dropped, Paused))
            if ended == len(requests):
                inbox.put(Stop())

        for request in requests:
            inbox.put(Run(job=request if isinstance(request, Job) else Job(request=request)))
        WorkerLoop(engine, inbox=inbox, send=send, max_denoiser_rows=max_denoiser_rows).run()
        return events

    return run


def kinds(events: Sequence[WorkerEvent], request_id: str) -> list[str]:
    return [type(event).__name__ for event in events if getattr(event, "request_id", None) == request_id]


def test_the_first_event_names_the_models(play):
    first = play(NullEngine(), [ask("a")])[0]
    assert isinstance(first, Ready)
    assert [model.name for model in first.models] == ["null-large", "null-small"]


def test_a_job_starts_steps_and_finishes_in_that_order(play):
    assert kinds(play(NullEngine(), [ask("a")]), "a") == ["Started", "Stepped", "Stepped", "Stepped", "Finished"]


def test_jobs_that_fit_share_their_ticks(play):
    events = play(NullEngine(), [ask("a"), ask("b", guidance_scale=4.0)])
    assert [event.denoiser_rows for event in events if isinstance(event, Ticked)] == [3, 3, 3]


def test_a_cancelled_row_frees_its_place_at_the_next_step(play):
    def cancel_early(event: WorkerEvent) -> list:
        is_first_step = isinstance(event, Stepped) and event.request_id == "a" and event.step == 1
        return [Cancel(request_id="a")] if is_first_step else []

    events = play(NullEngine(), [ask("a", steps=100), ask("b", steps=100)], cancel_early, max_denoiser_rows=1)
    assert kinds(events, "a") == ["Started", "Stepped", "Dropped"]
    assert kinds(events, "b")[-1] == "Finished"


def test_cancelling_an_unknown_job_is_ignored(play):
    events = play(
        NullEngine(), [ask("a")], lambda event: [Cancel(request_id="ghost")] if isinstance(event, Started) else []
    )
    assert kinds(events, "a")[-1] == "Finished"


def test_previews_come_as_often_as_asked_but_not_with_the_last_step(play):
    events = play(NullEngine(), [ask("a", steps=6, preview_every=2)])
    shown = [event.step for event in events if isinstance(event, Stepped) and event.preview]
    assert shown == [2, 4]


def pause_after(steps, request_id="a"):
    """React to the step after which a row is to pause."""

    def react(event: WorkerEvent) -> list:
        is_then = isinstance(event, Stepped) and event.request_id == request_id and event.step == steps
        return [Pause(request_id=request_id)] if is_then else []

    return react


def test_a_paused_row_is_handed_out_and_its_neighbour_goes_on(play):
    events = play(NullEngine(), [ask("a", steps=5), ask("b", steps=5)], pause_after(2))
    assert kinds(events, "a") == ["Started", "Stepped", "Stepped", "Paused"]
    assert kinds(events, "b")[-1] == "Finished"


def test_a_row_goes_on_where_it_was_paused(play):
    request = ask("a", steps=5)
    (paused,) = [event.row for event in play(NullEngine(), [request], pause_after(2)) if isinstance(event, Paused)]
    events = play(NullEngine(), [Job(request=request, paused=paused)])
    assert [event.step for event in events if isinstance(event, Stepped)] == [3, 4, 5]
    assert kinds(events, "a")[-1] == "Finished"


def test_a_row_that_is_paused_before_it_begins_is_handed_out_as_it_came(play):
    paused = PausedRow(steps_run=1, file=b"a circle")
    waiting = Job(request=ask("late"), paused=paused)

    def react(event: WorkerEvent) -> list:
        return [Pause(request_id="late")] if isinstance(event, Started) and event.request_id == "a" else []

    events = play(NullEngine(), [ask("a"), waiting], react, max_denoiser_rows=1)
    assert [event.row for event in events if isinstance(event, Paused)] == [paused]


def test_pausing_an_unknown_job_is_ignored(play):
    events = play(
        NullEngine(), [ask("a")], lambda event: [Pause(request_id="ghost")] if isinstance(event, Started) else []
    )
    assert kinds(events, "a")[-1] == "Finished"


def test_estimates_are_handed_out_at_the_levels_asked_for(play):
    events = play(NullEngine(), [ask("a", steps=4, captures=(0.75, 0.25)), ask("b", steps=4)])
    handed = [(event.request_id, event.noise) for event in events if isinstance(event, Captured)]
    assert handed == [("a", 0.75), ("a", 0.25)]


def test_a_row_that_starts_later_runs_the_steps_that_are_left(play):
    events = play(NullEngine(), [ask("a", steps=5, first_step=3)])
    assert [(event.step, event.steps) for event in events if isinstance(event, Stepped)] == [(1, 2), (2, 2)]


class ChokingEngine(NullEngine):
    """Cannot encode prompts that say so, nor step rows that say so."""

    def begin(self, requests):
        if any("indigestible" in request.prompt for request in requests):
            raise RuntimeError("out of memory")
        super().begin(requests)

    def step(self, request_ids):
        if any("poison" in self._requests[request_id].prompt for request_id in request_ids):
            raise RuntimeError("out of memory")
        return tuple(name for name in request_ids if "overflow" in self._requests[name].prompt)


def test_a_prompt_that_cannot_be_encoded_fails_alone(play):
    events = play(ChokingEngine(), [ask("good"), ask("bad", prompt="indigestible"), ask("fine")])
    assert [kinds(events, name)[-1] for name in ("good", "bad", "fine")] == ["Finished", "Failed", "Finished"]


def test_a_failed_tick_fails_its_rows_and_the_worker_goes_on(play):
    events = play(ChokingEngine(), [ask("bad", prompt="poison"), ask("next", model="null-small")])
    assert [kinds(events, name)[-1] for name in ("bad", "next")] == ["Failed", "Finished"]


def test_a_row_that_overflows_fails_alone(play):
    events = play(ChokingEngine(), [ask("good"), ask("bad", prompt="overflow")])
    assert [kinds(events, name)[-1] for name in ("good", "bad")] == ["Finished", "Failed"]


def test_compute_seconds_cover_every_tick_of_the_picture(play):
    events = play(NullEngine(step_s=0.002), [ask("a")])
    ticked_s = sum(event.seconds for event in events if isinstance(event, Ticked))
    (finished,) = (event for event in events if isinstance(event, Finished))
    assert finished.compute_s >= ticked_s


def test_the_end_of_the_inbox_ends_the_loop():
    inbox: Inbox = SimpleQueue()
    inbox.put(None)
    events: list[WorkerEvent] = []
    WorkerLoop(NullEngine(), inbox=inbox, send=events.append, max_denoiser_rows=4).run()
    assert [type(event) for event in events] == [Ready]
