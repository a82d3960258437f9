"""The worker's loop: take commands, run the tick that the scheduler chooses, report."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue

import msgspec

from safelight.adapters.modes import DEFAULT_POLICY
from safelight.adapters.registry import name_of
from safelight.adapters.room import Room
from safelight.control.replica import ReplicaScheduler, Tick
from safelight.core.errors import AdapterLost, SafelightError
from safelight.core.request import ImageRequest
from safelight.core.work import (
    AddAdapter,
    Cancel,
    Dropped,
    Failed,
    Finished,
    Job,
    Pause,
    Paused,
    PausedRow,
    Prefetch,
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
"""How many times a row may lose the same adapter in mid-picture and wait for it once more."""

Inbox = SimpleQueue[WorkerCommand | WeightsRead | None]
"""Commands in order of arrival, and weights that were read; None says that no more will come."""

Send = Callable[[WorkerEvent], None]


@dataclass
class _Held:
    job: Job
    steps_run: int = 0
    compute_s: float = 0.0
    is_scheduled: bool = False
    has_begun: bool = False
    lacks_loras: bool = False
    steps_without_loras: int = 0
    losses: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, job: Job) -> "_Held":
        """Return a job as it comes, perhaps from a worker that has run some of it."""
        if job.paused is None:
            return cls(job)
        paused = job.paused
        return cls(
            job,
            steps_run=paused.steps_run,
            compute_s=paused.compute_s,
            steps_without_loras=paused.steps_without_loras,
        )

    @property
    def is_fresh(self) -> bool:
        """Whether it is still to begin, from its first step."""
        return not self.has_begun and self.job.paused is None

    @property
    def grace_left(self) -> int:
        """How many further steps it may run without its LoRAs; once it had them, it never does."""
        paused = self.job.paused
        came_with_loras = paused is not None and not paused.lacks_loras
        if came_with_loras or self.steps_run > self.steps_without_loras:
            return 0
        return max(0, self.job.request.grace_steps - self.steps_without_loras)


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
            case Pause(request_id=request_id):
                if request_id in self._held:
                    self._pause(request_id)
            case AddAdapter() | RemoveAdapter() | Prefetch() | WeightsRead():
                self._tend(command)
            case Stop() | None:
                self._is_stopping = True
        self._admit()

    def _tend(self, command: AddAdapter | RemoveAdapter | Prefetch | WeightsRead) -> None:
        match command:
            case AddAdapter():
                self._cabinet.add(command)
            case RemoveAdapter(handle=handle):
                self._cabinet.remove(handle)
            case Prefetch(handles=handles):
                self._cabinet.expect(handles, time.monotonic())
            case WeightsRead():
                self._cabinet.take_in(command, time.monotonic())

    def _hold(self, job: Job) -> None:
        request = job.request
        self._held[request.id] = _Held.of(job)
        self._awaiting[request.id] = job
        if request.adapters:
            self._cabinet.hold(request.id, request.adapters, time.monotonic())

    def _admit(self) -> None:
        """Schedule the rows that may run with the adapters that are there, and give up those that never may."""
        while (loss := self._cabinet.loss) is not None:
            self._fail([loss.row], loss.reason)
        for row, job in list(self._awaiting.items()):
            has_all = not job.request.adapters or self._cabinet.is_ready(row)
            if has_all:
                del self._awaiting[row]
            held = self._held[row]
            if held.is_scheduled:
                if has_all:
                    self._scheduler.equip(row)
            elif has_all or self._may_run_bare(held):
                held.is_scheduled = True
                grace_left = None if has_all else held.grace_left
                self._scheduler.hold(job, steps_run=held.steps_run, grace_left=grace_left)

    def _may_run_bare(self, held: _Held) -> bool:
        """Whether only LoRAs are missing, and the picture may run without."""
        request = held.job.request
        return held.grace_left > 0 and (not request.controls or self._cabinet.has_controlnets(request.id))

    def _run(self, tick: Tick) -> None:
        self._prepare(tick)
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
        """Have all rows that use an adapter wait for it again, but give up those of `rows` that lost it too often."""
        for row in [row for row, held in self._held.items() if lost.handle in held.job.request.adapters]:
            held = self._held[row]
            held.losses[lost.handle] += row in rows
            if (losses := held.losses[lost.handle]) > MAX_LOSSES:
                self._fail([row], f"The ControlNet {name_of(lost.handle)!r} failed {losses} times: {lost}")
            else:
                self._scheduler.drop(row)
                held.is_scheduled = False
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

    def _pause(self, row: str) -> None:
        held = self._held[row]
        paused = held.job.paused
        if held.has_begun:
            paused = msgspec.structs.replace(
                self._engine.pause(row),
                steps_without_loras=held.steps_without_loras,
                lacks_loras=held.lacks_loras,
                compute_s=held.compute_s,
            )
        self._scheduler.drop(row)
        self._let_go(row)
        self._send(Paused(request_id=row, row=paused))

    def _prepare(self, tick: Tick) -> None:
        """Begin the rows of `tick` that have not begun, and give their LoRAs to those that ran without until now."""
        held = {row: self._held[row] for row in tick.request_ids}
        bare = {row: held[row].job.request.without_loras() for row in tick.bare}
        for each in held.values():
            if not each.has_begun and each.job.paused is not None:
                self._encode([each.job.as_paused], partial(self._resume, each.job.paused))
        fresh = [bare.get(row, each.job.request) for row, each in held.items() if each.is_fresh]
        late = [each.job.request for row, each in held.items() if each.lacks_loras and row not in bare]
        self._encode(fresh, self._engine.begin)
        self._encode(late, self._engine.equip)

    def _resume(self, paused: PausedRow, requests: Sequence[ImageRequest]) -> None:
        for request in requests:
            self._engine.resume(request, paused)

    def _encode(self, requests: Sequence[ImageRequest], encode: Callable[[Sequence[ImageRequest]], None]) -> None:
        if not requests:
            return
        started_s = time.perf_counter()
        try:
            encode(requests)
        except (RuntimeError, SafelightError) as error:
            if len(requests) == 1:
                self._fail([requests[0].id], f"The picture could not be prepared: {error}")
            else:
                for request in requests:
                    self._encode([request], encode)
            return
        seconds = time.perf_counter() - started_s
        for request in requests:
            held = self._held[request.id]
            held.compute_s += seconds
            held.lacks_loras = request.loras != held.job.request.loras
            if not held.has_begun:
                held.has_begun = True
                self._send(Started(request_id=request.id))

    def _account(self, tick: Tick, rows: Sequence[str], seconds: float) -> tuple[str, ...]:
        """Note one tick of `rows`, report it, and return those that have all their steps."""
        denoiser_rows = sum(self._held[row].job.request.denoiser_rows for row in rows)
        self._send(Ticked(model=tick.model, denoiser_rows=denoiser_rows, seconds=seconds))
        for row in rows:
            held = self._held[row]
            held.steps_run += 1
            held.steps_without_loras += row in tick.bare
            held.compute_s += seconds
            self._send(self._progress(held))
            if held.job.request.captures and (captured := self._engine.captured(row)) is not None:
                self._send(captured)
        return self._scheduler.tick_done(tick, seconds)

    def _progress(self, held: _Held) -> Stepped:
        request = held.job.request
        is_last = held.steps_run == request.steps_to_run
        wants_preview = request.preview_every > 0 and held.steps_run % request.preview_every == 0 and not is_last
        preview = self._engine.preview(request.id) if wants_preview else None
        return Stepped(request_id=request.id, step=held.steps_run, steps=request.steps_to_run, preview=preview)

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
                    request_id=row,
                    picture=picture,
                    compute_s=held.compute_s + seconds,
                    prompt_tokens=prompt_tokens,
                    steps_without_loras=held.steps_without_loras,
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
