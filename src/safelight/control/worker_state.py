"""A live worker as the controller sees it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from safelight.adapters.mode import ModePolicy
from safelight.control.batch import Kind, place_of
from safelight.control.batching.protocol import BatchingPolicy
from safelight.control.folding import Folding
from safelight.control.forecast import ForecastWorker, forecast
from safelight.control.order.deadline import DeadlineOrder
from safelight.control.order.protocol import OrderPolicy
from safelight.control.request_state import RequestState
from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, Composition
from safelight.core.work import AdapterLoaded, Ready, Ticked
from safelight.profiles.loads import LoadEstimate
from safelight.profiles.pace import PaceEstimate
from safelight.profiles.profile import Profile

UNLIMITED_ROWS: Final = 1 << 30
"""Of a worker whose batching policy chooses among all waiting requests."""


class WorkSum:
    """The seconds that are left for all requests of some workers, which change it.

    Attributes:
        changes: since the sum was set; each may add a rounding error.
    """

    __slots__ = ("changes", "total_s")

    def __init__(self, total_s: float = 0.0) -> None:
        self.set(total_s)

    def set(self, total_s: float) -> None:
        self.total_s = total_s
        self.changes = 0

    def add(self, seconds: float) -> None:
        self.total_s += seconds
        self.changes += 1


@dataclass(frozen=True, kw_only=True)
class WorkerPolicies:
    """The policies by which a worker's replica chooses its ticks, for forecasts of it."""

    batching: BatchingPolicy
    make_adapter_mode: Callable[[], ModePolicy]
    order: OrderPolicy = field(default_factory=DeadlineOrder)


class WorkerState:
    """A worker's models, speed, requests, and the adapters on its device.

    Attributes:
        number: of the worker, in order of joining.
        change: of its load, in order of all changes of loads.
        left_s: seconds of its time, in full calls, that remain for all its requests; `work` is the sum over its pool.
        leaving: requests that it was asked to stop, and that take no room any more.
        ready: what it has reported when it had started.
        prefetched: the adapters of the last `Prefetch` that it was sent.
        placed: the adapters of the last `Place` that it was sent.
        is_suspected: whether it may hang, so that it gets no new work and no forecast counts it.
    """

    def __init__(self, name: str, ready: Ready, *, lookahead_rows: int, policies: WorkerPolicies) -> None:
        self.name = name
        self.number = 0
        self.change = 0
        self.paces = {spec.name: PaceEstimate(Profile.from_spec(spec)) for spec in ready.models}
        self.max_denoiser_rows = ready.max_denoiser_rows
        self.capacity_rows = ready.max_denoiser_rows + lookahead_rows
        if policies.batching.sees_queue:
            self.capacity_rows = UNLIMITED_ROWS
        self.requests: dict[str, RequestState] = {}
        self.leaving: dict[str, RequestState] = {}
        self.used_rows = 0
        self.work = WorkSum()
        self._left_s = 0.0
        self.ready = ready
        self.placed: tuple[AdapterHandle, ...] = ()
        self.prefetched: tuple[AdapterHandle, ...] = ()
        self.is_suspected = False
        self._policies = policies
        self._suspects = 0
        self._tick_ends_s = 0.0
        self._resident: set[AdapterHandle] = set()
        self._loads = LoadEstimate()
        self._folded: dict[str, Composition] = {}

    @property
    def left_s(self) -> float:
        return self._left_s

    @left_s.setter
    def left_s(self, seconds: float) -> None:
        self.work.add(seconds - self._left_s)
        self._left_s = seconds

    @property
    def load(self) -> int:
        """How many requests it holds."""
        return len(self.requests)

    @property
    def is_empty(self) -> bool:
        return not self.requests

    @property
    def is_open(self) -> bool:
        """Whether it may take any request at all."""
        return self.used_rows < self.capacity_rows and not self._suspects and not self.is_suspected

    @property
    def resident(self) -> AbstractSet[AdapterHandle]:
        """The adapters on its device."""
        return self._resident

    def serves(self, model: str) -> bool:
        return model in self.paces

    def has_room(self, request: RequestState) -> bool:
        """Whether there is room for `request` now; a suspect has room only on an empty worker."""
        if self.is_suspected or self._suspects:
            return False
        if not self.requests:
            return True
        return not request.is_suspect and self.lacking_rows(request) == 0

    @property
    def may_preempt(self) -> bool:
        """Whether its requests may make way for another one."""
        return not self._suspects and not self.is_suspected

    @property
    def has_forecast(self) -> bool:
        """Whether a forecast promises the deadline of one of its requests."""
        return any(request.is_forecast for request in self.requests.values())

    def lacking_rows(self, request: RequestState) -> int:
        """Return how many denoiser rows it lacks for `request`."""
        return max(0, self.used_rows + self._rows_of(request) - self.capacity_rows)

    def take(self, request: RequestState) -> None:
        self.requests[request.id] = request
        self.used_rows += self._rows_of(request)
        self.left_s += request.left_s
        self._suspects += request.is_suspect
        request.worker, request.is_running = self.name, True

    def release(self, request: RequestState) -> None:
        request.is_running = False
        if self.leaving.pop(request.id, None) is None:
            self._remove(request)

    def begin_pause(self, request: RequestState) -> None:
        """Make room of a request that this worker will stop before it obeys any later command."""
        self._remove(request)
        self.leaving[request.id] = request
        request.is_pausing = True

    def _remove(self, request: RequestState) -> None:
        del self.requests[request.id]
        self.used_rows -= self._rows_of(request)
        self.left_s = self.left_s - request.left_s if self.requests else 0.0
        self._suspects -= request.is_suspect

    def held(self, request_id: str) -> RequestState | None:
        """Return a request that it has, even if it was asked to stop it."""
        return self.requests.get(request_id) or self.leaving.get(request_id)

    def started(self, request: RequestState, now: float) -> None:
        """Note that it has begun the row of `request`, and runs its first tick."""
        request.begin_row(now)
        model, width, height = request.job.kind
        tick_s = self.paces[model].tick_s(request.denoiser_rows, width=width, height=height)
        self._tick_ends_s = max(self._tick_ends_s, now + tick_s)

    def tick(self, ticked: Ticked, now: float) -> None:
        """Learn from a tick, and note the progress of its requests; the next one may take as long."""
        self._tick_ends_s = now - ticked.ended_ago_s + ticked.seconds / ticked.steps
        if (pace := self.paces.get(ticked.model)) is not None:
            pace.observe(ticked)
        for request_id in ticked.request_ids:
            if (request := self.requests.get(request_id)) is not None:
                before_s = request.left_s
                request.step += ticked.steps
                request.compute_s += ticked.seconds
                self.left_s += request.left_s - before_s
        self._folded[ticked.model] = ticked.folded

    @property
    def longest_effect_s(self) -> float:
        """Predicted seconds of the longest thing that it may do at once: a full call, or all of one kind.

        All of one kind are loads, encodings, folds or decodings.
        """
        held = self.requests.values()
        ticks_s = (self.full_tick_s(request.job.kind) for request in held)
        loads_s = (self._loads.seconds(size) for request in held for size in request.weights_bytes.values())
        outside_s = sum(self.paces[request.model].outside_steps_s(request.job) for request in held)
        costs = (pace.profile.adapter_costs for pace in self.paces.values())
        fold_s = max((cost.switch_s for cost in costs if cost is not None), default=0.0)
        return max(max(ticks_s, default=0.0), sum(loads_s), outside_s, fold_s)

    @property
    def rows_by_composition(self) -> Collection[int]:
        """Denoiser rows of its requests, summed for each composition of LoRAs."""
        rows = Counter[Composition]()
        for request in self.requests.values():
            rows[request.job.composition] += request.denoiser_rows
        return rows.values()

    def adapter_loaded(self, event: AdapterLoaded, weights_bytes: int) -> None:
        self._resident.add(event.handle)
        self._loads.observe(weights_bytes, event.seconds)

    def adapter_evicted(self, handle: AdapterHandle) -> None:
        self._resident.discard(handle)

    def service_s(self, request: RequestState) -> float:
        """Return the seconds of `request` alone on this worker, with loads of adapters that are not on its device."""
        pace = self.paces[request.model]
        return pace.service_s(request.job) + self.loading_s(request)

    def best_service_s(self, request: RequestState) -> float:
        """Return `service_s` at the measured or the learned pace, whichever is faster."""
        return self.paces[request.model].best_service_s(request.job) + self.loading_s(request)

    def full_service_s(self, request: RequestState) -> float:
        """Return the seconds of `request` in full calls."""
        beside_rows = max(0, self.max_denoiser_rows - request.denoiser_rows)
        return self.paces[request.model].service_s(request.job, beside_rows=beside_rows)

    def load_s(self, weights_bytes: int) -> float:
        """Return the seconds of loading an adapter."""
        return self._loads.seconds(weights_bytes)

    def loading_s(self, request: RequestState) -> float:
        """Return the seconds of loading the adapters of `request` that are not on its device."""
        resident, weights_bytes = self._resident, request.weights_bytes
        if resident.isdisjoint(weights_bytes):
            return request.adapter_bytes * self._loads.s_per_byte
        held_bytes = sum(weights_bytes[handle] for handle in weights_bytes.keys() & resident)
        return (request.adapter_bytes - held_bytes) * self._loads.s_per_byte

    def encoding_s(self, request: RequestState) -> float:
        """Return the seconds of encoding the prompt and the start picture of `request`."""
        model, width, height = request.job.kind
        has_source = request.request.source is not None
        return self.paces[model].profile.encoding_s(width=width, height=height, has_source=has_source)

    @property
    def longest_tick_s(self) -> float:
        """Seconds of the longest call that may run now; 0 while it is empty."""
        rows = Counter[Kind]()
        overheads = dict[str, float]()
        for held in self.requests.values():
            rows[held.job.kind] += held.denoiser_rows
            if held.request.loras:
                overheads[held.model] = self._overhead(held.model)
        calls_s = {kind: self._call_s(kind, count) * (1 + overheads.get(kind[0], 0.0)) for kind, count in rows.items()}
        if all(held.request.deadline_s is None for held in self.requests.values()):
            return sum(calls_s.values())  # sizes may share a call
        return max(calls_s.values(), default=0.0)

    def is_hopeless(self, request: RequestState, now: float) -> bool:
        """Whether one of its requests misses its deadline even if it has the worker for itself from now on."""
        model, width, height = request.job.kind
        pace = self.paces[model]
        steps = max(0, request.job.level.steps_to_run - request.step - 1)
        tick_s = pace.tick_s(request.denoiser_rows, width=width, height=height)
        return now + steps * tick_s + pace.profile.decoding_s(width=width, height=height) > request.request.due_s

    def slowdown(self, request: RequestState, others: Iterable[RequestState]) -> float:
        """Return how many times longer calls over `request` and `others` take at most because of LoRAs."""
        costs = self.paces[request.model].profile.adapter_costs
        if costs is None or not (request.request.loras or any(other.request.loras for other in others)):
            return 1.0
        return 1 + max(costs.unmerged_overhead, costs.correction_overhead)

    def finish_s(self, request: RequestState, now: float) -> float:
        """Return when `request` would be ready if it came here now and no other request came after it."""
        if self.is_empty:
            return now + self.service_s(request)
        boundary_s = max(now, self._tick_ends_s)
        worker = self.forecast_worker(boundary_s, request.weights_bytes)
        return forecast([worker], [request.queued_job()], now=boundary_s)[request.id].finish_s

    def idle_at_s(self, now: float) -> float:
        """Return when all its requests will be ready."""
        expected = forecast([self.forecast_worker(now)], (), now=now)
        return max((each.finish_s for each in expected.values()), default=now)

    def forecast_worker(self, now: float, weights_bytes: Mapping[AdapterHandle, int] | None = None) -> ForecastWorker:
        """Return a copy for a forecast, without withdrawn requests; `weights_bytes` are of later jobs' adapters."""
        held = [request for request in self.requests.values() if not request.is_withdrawn]
        known = dict(weights_bytes or {})
        for request in held:
            known |= request.weights_bytes
        worker = ForecastWorker(
            paces=self.paces,
            loads=self._loads,
            order=self._policies.order,
            batching=self._policies.batching,
            foldings=self._foldings(),
            max_denoiser_rows=self.max_denoiser_rows,
            capacity_rows=self.capacity_rows,
            rows=[request.queued_job() for request in held],
            resident=self._resident,
            weights_bytes=known,
        )
        for row in worker.rows:
            worker.plan_load(row, now)
        worker.rows.sort(key=place_of)
        return worker

    def _call_s(self, kind: Kind, denoiser_rows: int) -> float:
        model, width, height = kind
        rows = min(denoiser_rows, self.max_denoiser_rows)
        return self.paces[model].tick_s(rows, width=width, height=height)

    def _overhead(self, model: str) -> float:
        """Return by which share calls take longer at most because of LoRAs."""
        costs = self.paces[model].profile.adapter_costs
        return 0.0 if costs is None else max(costs.unmerged_overhead, costs.correction_overhead)

    def full_tick_s(self, kind: Kind) -> float:
        """Return the seconds of a full call over rows of one kind."""
        model, width, height = kind
        return self.paces[model].tick_s(self.max_denoiser_rows, width=width, height=height)

    def _foldings(self) -> dict[str, Folding]:
        foldings = {}
        for model, pace in self.paces.items():
            folding = Folding(pace, self._policies.make_adapter_mode, max_denoiser_rows=self.max_denoiser_rows)
            folding.folded = self._folded.get(model, NO_ADAPTERS)
            foldings[model] = folding
        return foldings

    def _rows_of(self, request: RequestState) -> int:
        return min(request.denoiser_rows, self.capacity_rows)
