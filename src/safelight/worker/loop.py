"""The worker's loop: take commands, run the tick that the scheduler chooses, report."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from safelight.adapters.modes import DEFAULT_POLICY
from safelight.adapters.registry import name_of
from safelight.adapters.room import Room
from safelight.control.replica import ReplicaScheduler, Tick
from safelight.core.errors import AdapterLost, SafelightError
from safelight.core.work import (
    AddAdapter,
    Cancel,
    Dropped,
    Failed,
    Finished,
    Job,
    Ready,
    RemoveAdapter,
    Run,
    Started,
    Stepped,
    Stop,
    Ticked,
    WorkerCommand,
    WorkerEvent,
)
from safelight.profiles.model import ModelProfile
from safelight.worker.adapters import AdapterCabinet, WeightsRead
from safelight.worker.engine import Engine

ROOM = Room(host_bytes=2 << 30, device_ranks=256, device_controlnets=8)
"""For the adapters of one worker."""

MAX_LOSSES = 2
"""How many times a row may lose an adapter in mid-picture and wait for it once more."""

Inbox = SimpleQueue[WorkerCommand | WeightsRead | None]
"""Commands in order of arrival, and weights that were read; None says that no more will come."""

Send = Callable[[WorkerEvent], None]


@dataclass
class _Held:
    job: Job
    steps_done: int = 0
    compute_s: float = 0.0
    has_begun: bool = False
    losses: int = 0


class WorkerLoop:
    """Runs one engine until it is told to stop or its inbox ends."""

    def __init__(
        self,
        engine: Engine,
        *,
        inbox: Inbox,
        send: Send,
        max_denoiser_rows: int,
        adapter_mode: str = DEFAULT_POLICY,
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._send = send
        self._max_denoiser_rows = max_denoiser_rows
        profiles = {spec.name: ModelProfile.from_spec(spec) for spec in engine.models}
        self._scheduler = ReplicaScheduler(profiles, max_denoiser_rows=max_denoiser_rows, adapter_mode=adapter_mode)
        self._held: dict[str, _Held] = {}
        self._cabinet = AdapterCabinet(
            engine, room=ROOM, post=inbox.put, send=send, on_evicted=self._scheduler.adapter_evicted
        )
        self._awaiting: dict[str, Job] = {}
        self._is_stopping = False

    def run(self) -> None:
        """Serve commands until `Stop` or the end of the inbox."""
        self._send(Ready(models=self._engine.models, max_denoiser_rows=self._max_denoiser_rows))
        try:
            while True:
                self._take_commands()
                if self._is_stopping:
                    return
                tick = self._scheduler.next_tick(time.monotonic())
                if tick is not None:
                    self._run(tick)
                    self._admit()
        finally:
            self._cabinet.close()

    def _take_commands(self) -> None:
        if self._scheduler.is_idle:
            self._obey(self._inbox.get())
        while not self._is_stopping:
            try:
                self._obey(self._inbox.get_nowait())
            except Empty:
                return

    def _obey(self, command: WorkerCommand | WeightsRead | None) -> None:
        match command:
            case Run(job=job):
                self._hold(job)
            case Cancel(request_id=request_id):
                if request_id in self._held:
                    self._scheduler.drop(request_id)
                    self._release(request_id)
                    self._send(Dropped(request_id=request_id))
            case AddAdapter():
                self._cabinet.add(command)
            case RemoveAdapter(handle=handle):
                self._cabinet.remove(handle)
            case WeightsRead():
                self._cabinet.take_in(command, time.monotonic())
            case Stop() | None:
                self._is_stopping = True
        self._admit()

    def _hold(self, job: Job) -> None:
        request = job.request
        self._held[request.id] = _Held(job)
        self._awaiting[request.id] = job
        if request.adapters:
            self._cabinet.hold(request.id, request.adapters, time.monotonic())

    def _admit(self) -> None:
        """Schedule the rows whose adapters are all there, and give up those whose adapters never will be."""
        while (loss := self._cabinet.loss) is not None:
            self._fail([loss.row], loss.reason)
        for row, job in list(self._awaiting.items()):
            if not job.request.adapters or self._cabinet.is_ready(row):
                del self._awaiting[row]
                self._scheduler.hold(job, step=self._held[row].steps_done)

    def _run(self, tick: Tick) -> None:
        self._begin([row for row in tick.request_ids if not self._held[row].has_begun])
        rows = tick.request_ids
        if not self._held.keys() >= set(rows) or not self._fold(tick):
            return
        started_s = time.perf_counter()
        try:
            broken = self._engine.step(rows)
        except AdapterLost as error:
            self._bring_again(error, rows)
            return
        except (RuntimeError, SafelightError) as error:
            self._fail(rows, f"The denoiser failed: {error}")
            return
        seconds = time.perf_counter() - started_s
        finished = self._account(tick, rows, seconds)
        self._fail(broken, "The picture's numbers are no longer finite; try a lower guidance_scale or another sampler.")
        self._finish([row for row in finished if row in self._held])

    def _bring_again(self, lost: AdapterLost, rows: Sequence[str]) -> None:
        """Have all rows that use an adapter wait for it once more, but give up those of `rows` that lost too often."""
        for row in [row for row, held in self._held.items() if lost.handle in held.job.request.adapters]:
            held = self._held[row]
            held.losses += row in rows
            if held.losses > MAX_LOSSES:
                self._fail([row], f"The ControlNet {name_of(lost.handle)!r} failed {held.losses} times: {lost}")
            else:
                self._scheduler.drop(row)
                self._awaiting[row] = held.job
        self._cabinet.bring_again(lost.handle)

    def _fold(self, tick: Tick) -> bool:
        try:
            self._engine.fold(tick.model, tick.folded)
        except (RuntimeError, SafelightError) as error:
            self._scheduler.fold_failed(tick.model)
            self._fail(tick.request_ids, f"The adapters could not be brought into the weights: {error}")
            return False
        return True

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
            held = self._let_go(row)
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
        self._let_go(row)

    def _let_go(self, row: str) -> _Held:
        held = self._held.pop(row)
        self._awaiting.pop(row, None)
        if held.job.request.adapters:
            self._cabinet.release(row, time.monotonic())
        return held
