"""Stand-in for the kernel until the real one is merged: the plain case only."""

import heapq
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from safelight.adapters.capacity import AdapterCapacity
from safelight.control.commands import Command, Deliver, Dismissed, GiveUp, Reject, Send
from safelight.control.config import ControlConfig
from safelight.control.events import AdapterOffered, Arrived, Event, Reported, TimePassed, WorkerJoined
from safelight.control.fleet import FleetController
from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.effects import (
    BeginRows,
    CopyAdapter,
    Effect,
    Emit,
    EquipRows,
    FinishRows,
    Fold,
    PauseRow,
    ReadAdapter,
    ResumeRow,
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
    Prepared,
    ReplicaEvent,
    RowPaused,
    Stepped,
)
from safelight.control.replica.machine import ReplicaMachine
from safelight.core.adapter import NO_ADAPTERS, AdapterSpec
from safelight.core.job import PausedRow
from safelight.core.model import ModelSpec
from safelight.core.outcome import Outcome
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.work import Finished, Ready, WorkerEvent
from safelight.profiles.profile import Profile

DOT = Pixels(width=1, height=1, rgb=b"")


@dataclass(frozen=True, kw_only=True)
class WorkerModel:
    spec: ModelSpec
    profile: Profile


@dataclass(frozen=True, kw_only=True)
class LoadCost:
    constant_s: float = 0.0
    s_per_byte: float = 0.0


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    name: str
    models: tuple[WorkerModel, ...]
    max_denoiser_rows: int
    adapter_capacity: AdapterCapacity
    startup_s: float = 0.0
    speed: float = 1.0
    tiers: dict[str, LoadCost] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlacedAdapter:
    spec: AdapterSpec
    tier: str = "disk"


@dataclass(frozen=True, kw_only=True)
class Fault:
    kind: str
    worker: str
    at_s: float
    for_s: float | None = None
    factor: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Simulation:
    workers: tuple[WorkerSpec, ...]
    requests: Iterable[ImageRequest]
    adapters: tuple[PlacedAdapter, ...] = ()
    control: ControlConfig = field(default_factory=ControlConfig)
    replica: ReplicaConfig = field(default_factory=ReplicaConfig)
    faults: tuple[Fault, ...] = ()
    seed: int = 0


@dataclass(kw_only=True)
class SimulatedRun:
    end_s: float = 0.0
    events: int = 0
    ticks: int = 0
    adapter_loads: int = 0
    merges: int = 0
    moves: int = 0
    pauses: int = 0
    busy_s: dict[str, float] = field(default_factory=dict)


def simulate(
    simulation: Simulation,
    *,
    on_outcome: Callable[[Outcome], None],
    on_progress: Callable[[SimulatedRun], None] | None = None,
    on_span: Callable[[str, str, float, float], None] | None = None,
) -> SimulatedRun:
    """Run to the end."""
    kernel = _Kernel(simulation, on_outcome, on_span)
    for number in count():
        if not kernel.step():
            return kernel.run
        if on_progress is not None and number % 256 == 0:
            on_progress(kernel.run)
    raise AssertionError


class _Kernel:
    def __init__(
        self,
        simulation: Simulation,
        on_outcome: Callable[[Outcome], None],
        on_span: Callable[[str, str, float, float], None] | None,
    ) -> None:
        self.run = SimulatedRun()
        self.on_outcome, self.on_span = on_outcome, on_span
        self.controller = FleetController(simulation.control)
        self.specs = {f"/{each.spec.name}": each for each in simulation.adapters}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._requests = iter(simulation.requests)
        self._wakeup_s: float | None = None
        self.workers: dict[str, _Worker] = {}
        for spec in simulation.workers:
            self.later(spec.startup_s, lambda spec=spec: self._join(spec, simulation.replica))  # type: ignore[misc]
        for each in simulation.adapters:
            self.later(
                0.0,
                lambda each=each: self.handle(AdapterOffered(each.spec.name, each.spec.name, f"/{each.spec.name}")),  # type: ignore[misc]
            )
        self._next_request()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.run.end_s + seconds, next(self._order), action))

    def step(self) -> bool:
        if not self._heap:
            return False
        self.run.end_s, _, action = heapq.heappop(self._heap)
        self.run.events += 1
        action()
        return True

    def _join(self, spec: WorkerSpec, config: ReplicaConfig) -> None:
        worker = self.workers[spec.name] = _Worker(self, spec, config)
        self.handle(
            WorkerJoined(
                spec.name,
                Ready(models=tuple(m.spec for m in spec.models), max_denoiser_rows=spec.max_denoiser_rows),
            )
        )
        worker.wake()

    def _next_request(self) -> None:
        request = next(self._requests, None)
        if request is not None:
            self.later(request.arrived_s - self.run.end_s, lambda: self._arrive(request))

    def _arrive(self, request: ImageRequest) -> None:
        self.handle(Arrived((request,)))
        self._next_request()

    def handle(self, event: Event) -> None:
        for command in self.controller.handle(event, self.run.end_s):
            self._execute(command)
        wakeup_s = self.controller.next_wakeup_s
        if wakeup_s is not None and wakeup_s != self._wakeup_s:
            self._wakeup_s = wakeup_s
            self.later(wakeup_s - self.run.end_s, lambda: self._wake(wakeup_s))

    def _wake(self, wakeup_s: float) -> None:
        if wakeup_s == self._wakeup_s:
            self._wakeup_s = None
            self.handle(TimePassed())

    def _execute(self, command: Command) -> None:
        match command:
            case Send(worker, sent):
                self.workers[worker].post(sent)  # type: ignore[arg-type] # no Stop is sent
            case Deliver(_, _, outcome) | GiveUp(_, _, outcome) | Dismissed(_, outcome):
                self.on_outcome(outcome)
            case Reject(_, _, outcome) if outcome is not None:
                self.on_outcome(outcome)


class _Worker:
    def __init__(self, kernel: _Kernel, spec: WorkerSpec, config: ReplicaConfig) -> None:
        self.kernel, self.spec = kernel, spec
        config = replace(config, max_denoiser_rows=spec.max_denoiser_rows, adapter_capacity=spec.adapter_capacity)
        self.machine = ReplicaMachine.serving([each.spec for each in spec.models], config=config)
        self.profiles = {each.spec.name: each.profile for each in spec.models}
        self.jobs: dict[str, Any] = {}
        self.steps: dict[str, int] = {}
        self.folded: dict[str, Any] = {}
        self.inbox: deque[Any] = deque()
        self.life = self._live()
        self.waits = True
        self.free_s = 0.0
        kernel.run.busy_s[spec.name] = 0.0

    def post(self, command: ReplicaEvent) -> None:
        self.inbox.append(command)
        self.wake()

    def wake(self) -> None:
        if self.waits:
            self.waits = False
            self.kernel.later(0.0, self._resume)

    def _resume(self) -> None:
        seconds = next(self.life)
        self.waits = seconds is None
        if seconds is not None:
            self.kernel.later(seconds, self._resume)

    def _live(self) -> Generator[float | None, None, None]:
        while True:
            while self.machine.is_idle and not self.inbox:
                yield None
            while self.inbox:
                yield from self._report(self.inbox.popleft())
            yield from self._report(Drained())

    def _report(self, event: ReplicaEvent) -> Generator[float, None, None]:
        effects: deque[Effect] = deque(self.machine.handle(event, self.kernel.run.end_s))
        while effects:
            effect = effects.popleft()
            what, seconds, result = self._do(effect)
            seconds /= self.spec.speed
            if seconds:
                self.kernel.run.busy_s[self.spec.name] += seconds
                if self.kernel.on_span:
                    now = self.kernel.run.end_s
                    self.kernel.on_span(self.spec.name, what, now, now + seconds)
                yield seconds
            if result is not None:
                effects.extend(self.machine.handle(result, self.kernel.run.end_s))

    def _send(self, event: WorkerEvent) -> None:
        self.kernel.handle(Reported(self.spec.name, event))

    def _do(self, effect: Effect) -> tuple[str, float, Any]:
        match effect:
            case Emit(event=event):
                self._send(event)
            case SendPicture():
                self.jobs.pop(effect.request_id)
                self._send(
                    Finished(
                        request_id=effect.request_id,
                        picture=DOT,
                        compute_s=effect.compute_s,
                        prompt_tokens=0,
                        steps_without_loras=effect.steps_without_loras,
                    )
                )
            case ReadAdapter():
                self._read(effect)
            case CopyAdapter(handle=handle):
                self.kernel.run.adapter_loads += 1
                cost = self.spec.tiers.get("host", LoadCost())
                size = self.kernel.specs[f"/{handle.name}"].spec.weights_bytes
                return "load", cost.constant_s + cost.s_per_byte * size, AdapterCopied(handle=handle)
            case _:
                return self._compute(effect)
        return "", 0.0, None

    def _compute(self, effect: Effect) -> tuple[str, float, Any]:  # noqa: PLR0911 - one for each effect
        match effect:
            case BeginRows(jobs=jobs) | EquipRows(jobs=jobs):
                self.jobs |= {job.id: job for job in jobs}
                seconds = 0.0
                if isinstance(effect, BeginRows):
                    seconds = sum(
                        self.profiles[job.kind[0]].encoding_s(width=job.kind[1], height=job.kind[2], has_source=False)
                        for job in jobs
                    )
                return "encode", seconds, Prepared(request_ids=tuple(job.id for job in jobs), seconds=seconds)
            case ResumeRow(job=job):
                self.jobs[job.id] = job
                return "encode", 0.0, Prepared(request_ids=(job.id,), seconds=0.0)
            case PauseRow(request_id=request_id):
                self.kernel.run.pauses += 1
                return "pause", 0.0, RowPaused(request_id=request_id, row=PausedRow(steps_run=0, file=b""))
            case Fold(model=model, composition=composition):
                self.folded[model] = composition
                self.kernel.run.merges += 1
                return "merge", self.profiles[model].adapter_costs.switch_s, Folded(model=model)  # type: ignore[union-attr]
            case Step():
                self.kernel.run.ticks += 1
                seconds = self._step_s(effect)
                return effect.model, seconds, Stepped(seconds=seconds / self.spec.speed)
            case FinishRows(request_ids=ids):
                kinds = [self.jobs[each].kind for each in ids]
                seconds = sum(self.profiles[m].decoding_s(width=w, height=h) for m, w, h in kinds)
                return "decode", seconds, Decoded(request_ids=ids, seconds=seconds, prompt_tokens=(0,) * len(ids))
            case _:
                pass
        return "", 0.0, None

    def _step_s(self, step: Step) -> float:
        profile = self.profiles[step.model]
        seconds = profile.tick_s(step.denoiser_rows, width=step.width, height=step.height)
        if profile.adapter_costs is None:
            return seconds
        is_plain = self.folded.get(step.model, NO_ADAPTERS).is_empty
        costs = profile.adapter_costs
        overhead = costs.unmerged_overhead if is_plain else costs.correction_overhead
        return seconds * (1 + overhead * step.misfit_rows / step.denoiser_rows)

    def _read(self, effect: ReadAdapter) -> None:
        placed = self.kernel.specs.get(effect.path)
        now = self.kernel.run.end_s
        result: Any = AdapterNotRead(handle=effect.handle, reason="broken")
        seconds = 0.0
        if placed is not None:
            cost = self.spec.tiers.get(placed.tier, LoadCost())
            seconds = cost.constant_s + cost.s_per_byte * placed.spec.weights_bytes
            result = AdapterRead(handle=effect.handle, spec=placed.spec)
        self.free_s = max(now + effect.after_s, self.free_s) + seconds
        self.kernel.later(self.free_s - now, lambda: self.post(result))
