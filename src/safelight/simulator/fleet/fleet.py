"""Drives the fleet controller over simulated workers: the counterpart of the live service."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from safelight.adapters.registry import Registered
from safelight.control.commands import Command, Deliver, Dismissed, GiveUp, Kill, Reject, Send
from safelight.control.events import Arrived, Event, Reported, TimePassed, WorkerJoined, WorkerLeft
from safelight.control.fleet import FleetController
from safelight.control.replica.config import ReplicaConfig, ready
from safelight.control.replica.events import ReplicaCommand
from safelight.control.replica.machine import ReplicaMachine
from safelight.control.workers import COMPARED_WORKERS
from safelight.core.adapter import AdapterHandle
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.work import Paused, Run, Stop, WorkerEvent
from safelight.simulator.fleet.durations import Durations
from safelight.simulator.fleet.early import EarlyRequests
from safelight.simulator.fleet.loads import AdapterReads, StoredWeights
from safelight.simulator.fleet.reuse import SimulatedReuse
from safelight.simulator.fleet.timeline import Timeline
from safelight.simulator.fleet.worker import WorkerProcess
from safelight.simulator.simulation import (
    OnOutcome,
    OnSpan,
    SimulatedAdapter,
    SimulatedRun,
    SimulatedWorker,
    Simulation,
    Span,
)

RESTART_PAUSE_S = 0.1
"""Seconds from the end of a process to the start of its successor, as in a server."""

MOST_SYNCHRONIZED = 64
"""A larger fleet reports progress, ahead of an arrival, only of the workers that are compared for it."""


@dataclass(slots=True)
class _Held:
    """Messages that wait until a worker can be reached again."""

    events: list[WorkerEvent] = field(default_factory=list)
    commands: list[ReplicaCommand] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Slot:
    """A worker through all its processes.

    Attributes:
        process: None while it starts.
        left_s: since when it has had no process, while it has none.
        starts: how many starts were planned; the last one counts.
        ready_s: when the process that starts now will be ready; None if none starts.
        slow_downs: factors of the present ones.
        held: messages to and from a worker that cannot be reached until `cut_until_s`; None while it can be reached.
        stored: where its machine has weights of adapters.
    """

    worker: SimulatedWorker
    index: int = 0
    number: int = 0
    process: WorkerProcess | None = None
    joined_s: float = 0.0
    left_s: float = 0.0
    starts: int = 0
    ready_s: float | None = None
    slow_downs: list[float] = field(default_factory=list)
    held: "_Held | None" = None
    cut_until_s: float = -math.inf
    stored: StoredWeights = field(default_factory=StoredWeights)

    @property
    def slowness(self) -> float:
        """How many times as long as by its profiles its work takes at present."""
        return math.prod(self.slow_downs)

    @property
    def next_name(self) -> str:
        return self.worker.name if self.number == 0 else f"{self.worker.name}.{self.number + 1}"


class SimulatedFleet:
    """Owns the controller and the workers; `arrive` and `wake_up` are called at their times on the timeline."""

    def __init__(
        self,
        simulation: Simulation,
        timeline: Timeline,
        counts: SimulatedRun,
        *,
        on_outcome: OnOutcome,
        on_span: OnSpan | None = None,
    ) -> None:
        self.controller = FleetController(simulation.control)
        self._simulation = simulation
        self._timeline = timeline
        self._counts = counts
        self._on_outcome = on_outcome
        self._on_span = on_span
        self._slots = {
            worker.name: _Slot(worker=worker, index=index) for index, worker in enumerate(simulation.workers)
        }
        self._processes: dict[str, _Slot] = {}
        self._reports: deque[tuple[str, WorkerEvent]] = deque()
        self._woken: dict[str, WorkerProcess] = {}
        self._is_settling = False
        self._next_wakeup_s: float | None = None
        registered = self.controller.know(adapter.spec for adapter in simulation.adapters)
        self._catalog: dict[AdapterHandle, Registered] = {each.handle: each for each in registered}
        by_name = {adapter.spec.name: adapter for adapter in simulation.adapters}
        self._adapters: dict[AdapterHandle, SimulatedAdapter] = {
            handle: by_name[handle.name] for handle in self._catalog
        }
        self._last_worker: dict[str, str] = {}
        handles = {handle.name: handle for handle in self._catalog}
        self._reuse = None if simulation.reuse is None else SimulatedReuse(simulation.reuse, self.controller, handles)
        self._early = EarlyRequests(simulation)

    def start(self) -> None:
        """Start all workers."""
        for slot in self._slots.values():
            self._be_ready_at(slot, 0.0 if slot.worker.starts_ready else slot.worker.startup_s)

    def arrive(self, request: ImageRequest) -> None:
        """Let a request arrive now."""
        self._counts.arrived += 1
        self._synchronize(request.model)
        found = None if self._reuse is None else self._reuse.find(request, self._timeline.now_s)
        if isinstance(found, Outcome):
            self._end(found)
            return
        self._handle(Arrived((request,), {} if found is None else {request.id: found}))
        self._settle()

    def wake_up(self) -> None:
        """Tell the controller that `next_wakeup_s` has come."""
        self._synchronize(None)
        self._handle(TimePassed())
        self._settle()

    def process(self, worker: str) -> WorkerProcess | None:
        """Return the present process of a worker, by the name of its first one; None while it starts."""
        return self._slots[worker].process

    def lose(self, worker: str, reason: str) -> None:
        """End the present process of a worker, ready or starting; its successor starts soon."""
        slot = self._slots[worker]
        if slot.process is None:
            self._start_again(slot)
            return
        process, slot.process, slot.held, slot.cut_until_s = slot.process, None, None, -math.inf
        process.end()
        slot.left_s = self._timeline.now_s
        self._counts.worker_s += slot.left_s - slot.joined_s
        del self._processes[process.name]
        self._handle(WorkerLeft(process.name, reason))
        self._timeline.at(self._timeline.now_s + RESTART_PAUSE_S, partial(self._start, slot))
        self._settle()

    def slow_down(self, worker: str, factor: float, *, ends: bool = False) -> None:
        """Let all work of a worker take `factor` times as long, from its next effect on; or no longer."""
        slot = self._slots[worker]
        (slot.slow_downs.remove if ends else slot.slow_downs.append)(factor)
        if slot.process is not None:
            slot.process.slow_down(slot.slowness)

    def stall_start(self, worker: str, for_s: float, *, killed_after_s: float) -> None:
        """Let a process that starts make no progress for so long; after `killed_after_s` another one is started."""
        slot = self._slots[worker]
        if slot.ready_s is not None:
            self._delay(slot, slot.ready_s + for_s, fits=for_s <= killed_after_s, killed_after_s=killed_after_s)

    def hide_start(self, worker: str, for_s: float, *, killed_after_s: float) -> None:
        """Let nothing be heard of a process that starts, for so long; after `killed_after_s` another one is started."""
        slot = self._slots[worker]
        if slot.ready_s is not None:
            heard_s = max(slot.ready_s, self._timeline.now_s + for_s)
            self._delay(slot, heard_s, fits=for_s <= killed_after_s, killed_after_s=killed_after_s)

    def cut_off(self, worker: str, until_s: float) -> None:
        """Hold back all messages from and to a worker until then, or longer if it is cut off already."""
        slot = self._slots[worker]
        if slot.process is not None:
            slot.held = slot.held or _Held()
            slot.cut_until_s = max(slot.cut_until_s, until_s)

    def reconnect(self, process: WorkerProcess) -> None:
        """Deliver what was held back, if that process is still there and nothing else cuts it off."""
        slot = self._processes.get(process.name)
        if slot is None or slot.held is None or slot.cut_until_s > self._timeline.now_s:
            return
        held, slot.held = slot.held, None
        self._reports.extend((process.name, event) for event in held.events)
        for command in held.commands:
            self._post(process, command)
        self._settle()

    def report(self, process: WorkerProcess, event: WorkerEvent) -> None:
        """Take an event of a worker, such as a sign of life."""
        self._reported(process.name, event)
        self._settle()

    def counted(self) -> SimulatedRun:
        """Return what was counted by now, with the time of workers that are there and of effects under way."""
        now, processes = self._timeline.now_s, [slot.process for slot in self._slots.values() if slot.process]
        under_way = [process.under_way() for process in processes]
        return msgspec.structs.replace(
            self._counts,
            worker_s=self._counts.worker_s + sum(now - self._processes[each.name].joined_s for each in processes),
            busy_s=self._counts.busy_s + sum(busy_s for busy_s, _ in under_way),
            ticks=self._counts.ticks + sum(ticks for _, ticks in under_way),
        )

    def close(self) -> None:
        """Count the time of the workers that are there at the end."""
        for slot in self._slots.values():
            if slot.process is None:
                self._report_start(slot)
            else:
                slot.process.end()
                self._counts.worker_s += self._timeline.now_s - slot.joined_s

    def _start(self, slot: _Slot) -> None:
        self._be_ready_at(slot, self._timeline.now_s + slot.worker.startup_s)

    def _be_ready_at(self, slot: _Slot, ready_s: float) -> None:
        slot.starts, slot.ready_s = slot.starts + 1, ready_s
        self._timeline.at(ready_s, partial(self._join, slot, slot.starts))

    def _start_again(self, slot: _Slot) -> None:
        """Begin anew with a process that starts, if one does."""
        if slot.ready_s is not None:
            slot.starts, slot.ready_s = slot.starts + 1, None
            self._timeline.at(self._timeline.now_s + RESTART_PAUSE_S, partial(self._start, slot))

    def _delay(self, slot: _Slot, ready_s: float, *, fits: bool, killed_after_s: float) -> None:
        if fits:
            self._be_ready_at(slot, ready_s)
            return
        slot.starts, start = slot.starts + 1, slot.starts + 1
        killed_s = self._timeline.now_s + killed_after_s
        self._timeline.at(killed_s, lambda: self._start_again(slot) if slot.starts == start else None)

    def _join(self, slot: _Slot, start: int) -> None:
        if slot.starts != start:
            return
        slot.ready_s = None
        name = slot.next_name
        slot.number += 1
        slot.process = self._process(name, slot)
        slot.joined_s = self._timeline.now_s
        self._report_start(slot)
        self._processes[name] = slot
        specs = tuple(model.spec for model in slot.worker.models)
        self._handle(WorkerJoined(name, ready(specs, self._config(slot.worker))))
        self._settle()

    def _report_start(self, slot: _Slot) -> None:
        """Report the time in which a worker was not there."""
        now = self._timeline.now_s
        if self._on_span is not None and now > slot.left_s:
            self._on_span(Span(worker=slot.worker.name, kind="start", start_s=slot.left_s, end_s=now))

    def _process(self, name: str, slot: _Slot) -> WorkerProcess:
        worker, simulation = slot.worker, self._simulation
        machine = ReplicaMachine.serving((model.spec for model in worker.models), config=self._config(worker))
        machine.know(self._catalog)
        durations = Durations(worker, seed=(simulation.seed, slot.index, slot.number))
        durations.slowness = slot.slowness
        return WorkerProcess(
            name,
            machine,
            durations=durations,
            reads=AdapterReads(
                self._adapters, worker.load_tiers, self._timeline, stored=slot.stored, factor=durations.load_factor
            ),
            timeline=self._timeline,
            send=partial(self._reported, name),
            wake=self._settle,
            counts=self._counts,
            score=simulation.score,
            on_span=self._on_span,
        )

    def _config(self, worker: SimulatedWorker) -> ReplicaConfig:
        policies = self._simulation.control.policies
        return replace(
            self._simulation.replica,
            max_denoiser_rows=worker.max_denoiser_rows,
            order=policies.order,
            batching=policies.batching,
            adapter_mode=policies.adapter_mode,
            adapter_capacity=worker.adapter_capacity,
            coalesces_steps=self._simulation.coalesces,
        )

    def _reported(self, name: str, event: WorkerEvent) -> None:
        slot = self._processes.get(name)
        if slot is None:
            return
        if type(event) is Paused:
            self._last_worker[event.request_id] = name
        if slot.held is not None:
            slot.held.events.append(event)
        else:
            self._reports.append((name, event))

    def _settle(self) -> None:
        """Let reports reach the controller, and commands the workers, until all of them wait for time to pass."""
        if self._is_settling:
            return
        self._is_settling = True
        reports, woken = self._reports, self._woken
        while reports or woken:
            while reports:
                name, event = reports.popleft()
                self._handle(Reported(name, event))
            while woken and not reports:
                woken.pop(next(iter(woken))).resume()
        self._is_settling = False

    @property
    def next_wakeup_s(self) -> float:
        """When to call `wake_up` if no event comes before; inf for never."""
        if self._next_wakeup_s is None:
            wakeup_s = self.controller.next_wakeup_s
            self._next_wakeup_s = math.inf if wakeup_s is None else wakeup_s
        return self._next_wakeup_s

    def _handle(self, event: Event) -> None:
        self._counts.events += 1
        self._next_wakeup_s = None
        for command in self.controller.handle(event, self._timeline.now_s):
            self._obey(command)

    def _obey(self, command: Command) -> None:
        match command:
            case Send(worker=name, command=sent):
                slot = self._processes.get(name)
                if slot is None or slot.process is None or isinstance(sent, Stop):
                    return
                if isinstance(sent, Run) and sent.job.paused is not None:
                    self._note_move(sent, name)
                if slot.held is not None:
                    slot.held.commands.append(sent)
                else:
                    self._post(slot.process, sent)
            case Deliver(outcome=outcome) | GiveUp(outcome=outcome) | Dismissed(outcome=outcome):
                self._end(outcome)
            case Reject(request=request, outcome=outcome, error=error):
                if outcome is None:
                    ready, now = self.controller.models, self._timeline.now_s
                    outcome = self._early.refused(request, error, ready=ready, now=now)
                if outcome is None:
                    raise error
                self._end(outcome)
            case Kill(worker=name, reason=reason):
                self.lose(self._processes[name].worker.name, reason)

    def _post(self, process: WorkerProcess, sent: ReplicaCommand) -> None:
        process.post(sent)
        self._woken[process.name] = process

    def _note_move(self, sent: Run, name: str) -> None:
        self._counts.moves += self._last_worker.pop(sent.job.id, name) != name

    def _end(self, outcome: Outcome) -> None:
        self._counts.ended += 1
        if self._reuse is not None:
            outcome = self._reuse.ended(outcome, self._timeline.now_s)
        self._on_outcome(outcome)

    def _synchronize(self, model: str | None) -> None:
        """Report the steps that are over of equal calls in a row, as far as a decision may depend on them."""
        if not self._simulation.coalesces:
            return
        for name in self._with_progress(model):
            slot = self._processes.get(name)
            if slot is not None and slot.process is not None:
                slot.process.report_progress()
        self._settle()

    def _with_progress(self, model: str | None) -> Sequence[str]:
        if len(self._processes) <= MOST_SYNCHRONIZED:
            return list(self._processes)
        return self.controller.busy_workers(model, COMPARED_WORKERS)
