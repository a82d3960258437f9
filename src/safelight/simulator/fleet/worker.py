"""A simulated worker: the replica machine of the server, whose effects take virtual time and compute nothing."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from safelight.control.replica.effects import (
    BeginRows,
    CaptureRow,
    CopyAdapter,
    DropRow,
    Effect,
    Emit,
    EquipRows,
    EvictAdapter,
    FinishRows,
    Fold,
    KeepLatents,
    PauseRow,
    ReadAdapter,
    ResumeRow,
    SendLatents,
    SendPicture,
    Step,
)
from safelight.control.replica.events import (
    AdapterCopied,
    AdapterNotRead,
    AdapterRead,
    Decoded,
    Drained,
    Folded,
    LatentsKept,
    Prepared,
    ReplicaCommand,
    ReplicaResult,
    RowPaused,
    Stepped,
)
from safelight.control.replica.machine import ReplicaMachine
from safelight.core.job import Job, PausedRow
from safelight.core.pixels import Pixels
from safelight.core.work import Beat, Finished, LatentsFetched, Ticked, WorkerEvent
from safelight.simulator.fleet.durations import Durations
from safelight.simulator.fleet.loads import AdapterReads
from safelight.simulator.fleet.timeline import Timeline
from safelight.simulator.simulation import OnSpan, SimulatedRun, Span, SpanKind

NO_PICTURE: Final = Pixels(width=0, height=0, rgb=b"")
LATENTS_BYTES_PER_PIXEL: Final = 1
"""Of a paused row: 4 channels of 4 bytes, at an eighth of the sides, and a margin for the sampler's own state."""

Send = Callable[[WorkerEvent], None]


class _Running:
    """The effect that the device executes now: equal calls in a row, or something that is not divided.

    Attributes:
        steps: calls that it takes if nothing comes in between; `reported` of them are known to the controller.
        token: changes when its end is planned anew.
    """

    __slots__ = ("call_s", "effect", "end_s", "is_step", "reported", "result", "start_s", "steps", "token")

    def __init__(self, effect: Effect, start_s: float, call_s: float, steps: int, result: ReplicaResult | None) -> None:
        self.effect = effect
        self.start_s = start_s
        self.call_s = call_s
        self.steps = steps
        self.end_s = start_s + call_s * steps
        self.result = result
        self.is_step = isinstance(effect, Step)
        self.reported = 0
        self.token = 0

    @property
    def seconds(self) -> float:
        """How long it took; exactly the duration of its calls if nothing has stretched them."""
        calls_s = self.call_s * self.steps
        return calls_s if self.end_s <= self.start_s + calls_s else self.end_s - self.start_s


class WorkerProcess:
    """One process of a worker, from when it is ready to its end.

    Commands wait while an effect runs. Equal calls in a row end early, at the next step, if a command comes.

    Attributes:
        name: as the controller knows it.
        durations: of its effects.
        is_dead: nothing comes of it any more.
    """

    def __init__(
        self,
        name: str,
        machine: ReplicaMachine,
        *,
        durations: Durations,
        reads: AdapterReads,
        timeline: Timeline,
        send: Send,
        wake: Callable[[], None],
        counts: SimulatedRun,
        score: Callable[[Job], float | None] | None = None,
        on_span: OnSpan | None = None,
    ) -> None:
        self.name = name
        self.is_dead = False
        self.machine = machine
        self.durations = durations
        self._reads = reads
        self._timeline = timeline
        self._send = send
        self._wake = wake
        self._counts = counts
        self._score = score
        self._on_span = on_span
        self._inbox: deque[ReplicaCommand | AdapterRead | AdapterNotRead] = deque()
        self._effects: deque[Effect] = deque()
        self._jobs: dict[str, Job] = {}
        self._steps_run: dict[str, int] = {}
        self._running: _Running | None = None
        self._hangs_until_s = -math.inf

    def post(self, command: ReplicaCommand | AdapterRead | AdapterNotRead) -> None:
        """Take a command, or the result of a read; `resume` follows."""
        self._inbox.append(command)
        self._cut_short()

    def resume(self) -> None:
        """Go on until an effect takes time, or there is nothing to do."""
        if self._running is not None or self.is_dead:
            return
        machine, effects, inbox = self.machine, self._effects, self._inbox
        now = self._timeline.now_s
        while True:
            while effects:
                effect = effects.popleft()
                if isinstance(effect, Emit):
                    self._send(effect.event)
                elif self._execute(effect):
                    return
            if inbox:
                effects.extend(machine.handle(inbox.popleft(), now))
            elif not machine.is_idle:
                effects.extend(machine.handle(Drained(), now))
            else:
                return

    def report_progress(self) -> None:
        """Report the calls that are over by now, as the live worker does after each."""
        running = self._running
        if running is None or not running.is_step or running.steps == 1 or self.is_dead:
            return
        done = self._calls_over(running)
        if done > running.reported:
            assert isinstance(running.effect, Step)
            ticked = self._ticked(running, done - running.reported)
            ended_ago_s = self._timeline.now_s - (running.start_s + done * running.call_s)
            self._send(msgspec.structs.replace(ticked, ended_ago_s=ended_ago_s))
            running.reported = done

    def slow_down(self, factor: float) -> None:
        """Let its work take `factor` times as long as its profiles say, from the next effect or call on."""
        self._cut_short()
        self.durations.slowness = factor

    def _calls_over(self, running: _Running) -> int:
        """Return how many of equal calls in a row are over, without the last one."""
        if running.steps == 1 or running.call_s <= 0:
            return 0
        return min(running.steps - 1, int((self._timeline.now_s - running.start_s) / running.call_s))

    def hang(self, until_s: float) -> None:
        """Let the present effect or call, or the next one, last until `until_s` at least."""
        self._cut_short()
        self._hangs_until_s = max(self._hangs_until_s, until_s)
        if self._running is not None:
            self._running.end_s = max(self._running.end_s, until_s)
            self._plan_end(self._running)

    def end(self) -> None:
        """End the process; what is under way counts as far as it went."""
        busy_s, ticks = self.under_way()
        self.is_dead = True
        self._counts.busy_s += busy_s
        self._counts.ticks += ticks
        if self._on_span is not None and self._running is not None and busy_s > 0:
            self._on_span(self._span(self._running, self._timeline.now_s))

    def under_way(self) -> tuple[float, int]:
        """Return the seconds of the present effect so far, and how many of its calls are over."""
        running = self._running
        if running is None:
            return 0.0, 0
        ticks = self._calls_over(running) if running.is_step else 0
        return self._timeline.now_s - running.start_s, ticks

    def beat(self) -> Beat:
        """Return the sign of life that it would send now."""
        running = self._running
        if running is None:
            return Beat(busy_s=0.0)
        self.report_progress()
        return Beat(busy_s=self._timeline.now_s - running.start_s - self._calls_over(running) * running.call_s)

    def _execute(self, effect: Effect) -> bool:  # noqa: PLR0911 - one branch for each effect that takes time
        """Execute an effect; returns whether it takes time."""
        match effect:
            case Step():
                steps = 1 if self._inbox else effect.most_steps
                jobs = tuple(self._jobs[request_id] for request_id in effect.request_ids)
                return self._begin(effect, self.durations.step_s(effect, jobs, steps=steps), None, steps=steps)
            case BeginRows(jobs=jobs):
                return self._begin(effect, self.durations.encoding_s(jobs), self._begun(jobs))
            case FinishRows(request_ids=request_ids):
                jobs = tuple(self._jobs[request_id] for request_id in request_ids)
                return self._begin(effect, self.durations.decoding_s(jobs), None)
            case Fold():
                self._counts.merges += 1
                return self._begin(effect, self.durations.folding_s(effect), Folded(model=effect.model))
            case ResumeRow(job=job):
                return self._begin(effect, self.durations.resuming_s(job), self._begun((job,)))
            case CopyAdapter(handle=handle):
                self._counts.adapter_loads += 1
                return self._begin(effect, self._reads.copying_s(handle), AdapterCopied(handle=handle))
        result = self._at_once(effect)
        if result is not None:
            self._effects.extend(self.machine.handle(result, self._timeline.now_s))
        return False

    def _begin(self, effect: Effect, call_s: float, result: ReplicaResult | None, *, steps: int = 1) -> bool:
        running = _Running(effect, self._timeline.now_s, call_s, steps, result)
        if call_s <= 0 and self._hangs_until_s <= self._timeline.now_s:
            self._finish(running)
            return False
        running.end_s = max(running.end_s, self._hangs_until_s)
        self._running = running
        self._plan_end(running)
        return True

    def _plan_end(self, running: _Running) -> None:
        running.token += 1
        token = running.token
        self._timeline.at(running.end_s, lambda: self._end(running, token))

    def _end(self, running: _Running, token: int) -> None:
        if running.token != token or self.is_dead:
            return
        self._running = None
        self._finish(running)
        self.resume()
        self._wake()

    def _finish(self, running: _Running) -> None:
        now = self._timeline.now_s
        self._counts.busy_s += now - running.start_s
        result = self._stepped(running) if running.is_step else running.result
        if isinstance(running.effect, FinishRows):
            result = self._decoded(running.effect, now - running.start_s)
        elif isinstance(result, Prepared):
            result = msgspec.structs.replace(result, seconds=now - running.start_s)
        if self._on_span is not None:
            self._on_span(self._span(running, now))
        assert result is not None
        self._effects.extend(self.machine.handle(result, now))
        if running.reported:
            self._leave_out(running)

    def _stepped(self, running: _Running) -> Stepped:
        assert isinstance(running.effect, Step)
        self._counts.ticks += running.steps
        for request_id in running.effect.request_ids:
            self._steps_run[request_id] += running.steps
        return Stepped(seconds=running.seconds, steps=running.steps)

    def _leave_out(self, running: _Running) -> None:
        """Let the report of all calls be one of those that are not reported yet."""
        for place, effect in enumerate(self._effects):
            if isinstance(effect, Emit) and isinstance(effect.event, Ticked):
                if running.reported >= running.steps:
                    del self._effects[place]
                    return
                ticked, share = effect.event, 1 - running.reported / running.steps
                rest = msgspec.structs.replace(
                    ticked,
                    steps=running.steps - running.reported,
                    seconds=ticked.seconds * share,
                    plain_s=ticked.plain_s * share,
                )
                self._effects[place] = Emit(event=rest)
                return

    def _ticked(self, running: _Running, steps: int) -> Ticked:
        return self.machine.ticked(running.call_s * steps, steps=steps)

    def _cut_short(self) -> None:
        """End equal calls in a row at the next step."""
        running = self._running
        if running is None or running.steps == 1:
            return
        passed_s = self._timeline.now_s - running.start_s
        steps = max(1, math.ceil(passed_s / running.call_s - 1e-9)) if running.call_s > 0 else 1
        if steps >= running.steps:
            return
        running.steps = steps
        running.end_s = max(running.start_s + steps * running.call_s, self._timeline.now_s, self._hangs_until_s)
        self._plan_end(running)

    def _at_once(self, effect: Effect) -> ReplicaResult | None:
        match effect:
            case SendPicture():
                self._send_picture(effect)
            case EquipRows(jobs=jobs):
                self._jobs |= {job.id: job for job in jobs}
                return Prepared(request_ids=tuple(job.id for job in jobs), seconds=0.0)
            case ReadAdapter():
                self._reads.begin(effect, self._read)
            case DropRow(request_id=request_id):
                self._jobs.pop(request_id, None)
                self._steps_run.pop(request_id, None)
            case EvictAdapter(handle=handle):
                self.durations.evicted(handle)
            case PauseRow(request_id=request_id):
                return RowPaused(request_id=request_id, row=self._paused(request_id))
            case KeepLatents(handle=handle, file=file):
                return LatentsKept(handle=handle, latents_bytes=len(file))
            case SendLatents(handle=handle):
                self._send(LatentsFetched(handle=handle, file=b""))
            case CaptureRow():
                pass
        return None

    def _read(self, result: AdapterRead | AdapterNotRead) -> None:
        if not self.is_dead:
            self.post(result)
            self.resume()
            self._wake()

    def _begun(self, jobs: tuple[Job, ...]) -> Prepared:
        for job in jobs:
            self._jobs[job.id] = job
            self._steps_run[job.id] = job.steps_run
        return Prepared(request_ids=tuple(job.id for job in jobs), seconds=0.0)

    def _paused(self, request_id: str) -> PausedRow:
        request = self._jobs.pop(request_id).request
        latents_bytes = request.width * request.height * LATENTS_BYTES_PER_PIXEL
        self._counts.pauses += 1
        return PausedRow(steps_run=self._steps_run.pop(request_id), file=bytes(latents_bytes))

    def _decoded(self, effect: FinishRows, seconds: float) -> Decoded:
        return Decoded(request_ids=effect.request_ids, seconds=seconds, prompt_tokens=(0,) * len(effect.request_ids))

    def _send_picture(self, effect: SendPicture) -> None:
        job = self._jobs.pop(effect.request_id)
        del self._steps_run[effect.request_id]
        self._send(
            Finished(
                request_id=effect.request_id,
                picture=NO_PICTURE,
                compute_s=effect.compute_s,
                prompt_tokens=effect.prompt_tokens,
                steps_without_loras=effect.steps_without_loras,
                score=None if self._score is None else self._score(job),
            )
        )

    def _span(self, running: _Running, now: float) -> Span:
        effect = running.effect
        kind = _KINDS[type(effect)]
        jobs: tuple[Job, ...] = getattr(effect, "jobs", ())
        ids: tuple[object, ...] = getattr(effect, "request_ids", jobs)
        model: str = getattr(effect, "model", "") or next((job.level.model for job in jobs), "")
        return Span(
            worker=self.name, kind=kind, start_s=running.start_s, end_s=now, model=model, requests=max(1, len(ids))
        )


_KINDS: Final[Mapping[type, SpanKind]] = {
    BeginRows: "encode",
    ResumeRow: "encode",
    Fold: "fold",
    Step: "step",
    FinishRows: "decode",
    CopyAdapter: "copy",
}
