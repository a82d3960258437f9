"""The worker's loop: take commands, run the tick that the scheduler chooses, report."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from safelight.control.replica import ReplicaScheduler, Tick
from safelight.core.errors import SafelightError
from safelight.core.work import (
    Cancel,
    Dropped,
    Failed,
    Finished,
    Job,
    Ready,
    Run,
    Started,
    Stepped,
    Stop,
    Ticked,
    WorkerCommand,
    WorkerEvent,
)
from safelight.profiles.model import ModelProfile
from safelight.worker.engine import Engine

Inbox = SimpleQueue[WorkerCommand | None]
"""Commands in order of arrival; None says that no more will come."""

Send = Callable[[WorkerEvent], None]


@dataclass
class _Held:
    job: Job
    steps_done: int = 0
    compute_s: float = 0.0
    has_begun: bool = False


class WorkerLoop:
    """Runs one engine until it is told to stop or its inbox ends."""

    def __init__(self, engine: Engine, *, inbox: Inbox, send: Send, max_denoiser_rows: int) -> None:
        self._engine = engine
        self._inbox = inbox
        self._send = send
        self._max_denoiser_rows = max_denoiser_rows
        profiles = {spec.name: ModelProfile.from_spec(spec) for spec in engine.models}
        self._scheduler = ReplicaScheduler(profiles, max_denoiser_rows=max_denoiser_rows)
        self._held: dict[str, _Held] = {}
        self._is_stopping = False

    def run(self) -> None:
        """Serve commands until `Stop` or the end of the inbox."""
        self._send(Ready(models=self._engine.models, max_denoiser_rows=self._max_denoiser_rows))
        while True:
            self._take_commands()
            if self._is_stopping:
                return
            tick = self._scheduler.next_tick(time.monotonic())
            if tick is not None:
                self._run(tick)

    def _take_commands(self) -> None:
        if self._scheduler.is_idle:
            self._obey(self._inbox.get())
        while not self._is_stopping:
            try:
                self._obey(self._inbox.get_nowait())
            except Empty:
                return

    def _obey(self, command: WorkerCommand | None) -> None:
        match command:
            case Run(job=job):
                self._held[job.request.id] = _Held(job)
                self._scheduler.hold(job)
            case Cancel(request_id=request_id):
                if self._scheduler.drop(request_id):
                    self._release(request_id)
                    self._send(Dropped(request_id=request_id))
            case Stop() | None:
                self._is_stopping = True

    def _run(self, tick: Tick) -> None:
        self._begin([row for row in tick.request_ids if not self._held[row].has_begun])
        rows = [row for row in tick.request_ids if row in self._held]
        if not rows:
            return
        started_s = time.perf_counter()
        try:
            broken = self._engine.step(rows)
        except (RuntimeError, SafelightError) as error:
            self._fail(rows, f"The denoiser failed: {error}")
            return
        seconds = time.perf_counter() - started_s
        finished = self._account(tick, rows, seconds)
        self._fail(broken, "The picture's numbers are no longer finite; try a lower guidance_scale or another sampler.")
        self._finish([row for row in finished if row in self._held])

    def _begin(self, rows: Sequence[str]) -> None:
        if not rows:
            return
        started_s = time.perf_counter()
        try:
            self._engine.begin([self._held[row].job.request for row in rows])
        except (RuntimeError, SafelightError) as error:
            if len(rows) == 1:
                self._fail(rows, f"The prompt could not be encoded: {error}")
            else:
                for row in rows:
                    self._begin([row])
            return
        seconds = time.perf_counter() - started_s
        for row in rows:
            self._held[row].has_begun = True
            self._held[row].compute_s += seconds
            self._send(Started(request_id=row))

    def _account(self, tick: Tick, rows: Sequence[str], seconds: float) -> tuple[str, ...]:
        """Note one tick of `rows`, report it, and return those that have all their steps."""
        denoiser_rows = sum(self._held[row].job.request.denoiser_rows for row in rows)
        self._send(Ticked(model=tick.model, denoiser_rows=denoiser_rows, seconds=seconds))
        for row in rows:
            held = self._held[row]
            held.steps_done += 1
            held.compute_s += seconds
            self._send(self._progress(held))
        return self._scheduler.tick_done(tick, seconds)

    def _progress(self, held: _Held) -> Stepped:
        request = held.job.request
        is_last = held.steps_done == request.steps
        wants_preview = request.preview_every > 0 and held.steps_done % request.preview_every == 0 and not is_last
        preview = self._engine.preview(request.id) if wants_preview else None
        return Stepped(request_id=request.id, step=held.steps_done, steps=request.steps, preview=preview)

    def _finish(self, rows: Sequence[str]) -> None:
        if not rows:
            return
        tokens = [self._engine.prompt_tokens(row) for row in rows]
        started_s = time.perf_counter()
        pictures = self._engine.finish(rows)
        seconds = time.perf_counter() - started_s
        for row, picture, prompt_tokens in zip(rows, pictures, tokens, strict=True):
            held = self._held.pop(row)
            self._send(
                Finished(
                    request_id=row, picture=picture, compute_s=held.compute_s + seconds, prompt_tokens=prompt_tokens
                )
            )

    def _fail(self, rows: Sequence[str], message: str) -> None:
        for row in rows:
            self._scheduler.drop(row)
            self._release(row)
            self._send(Failed(request_id=row, message=message))

    def _release(self, row: str) -> None:
        self._engine.drop(row)
        del self._held[row]
