"""What is simulated, and what comes of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from safelight.adapters.capacity import AdapterCapacity
from safelight.control.config import ControlConfig
from safelight.control.replica.config import ADAPTER_CAPACITY, MAX_DENOISER_ROWS, ReplicaConfig
from safelight.core.adapter import AdapterSpec
from safelight.core.job import Job
from safelight.core.model import ModelSpec
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.latents.limits import ReuseLimits
from safelight.latents.predictor import LevelPredictor
from safelight.profiles.profile import Profile

Tier = Literal["remote", "disk", "host"]
"""Where the weights of an adapter are before a worker loads them."""

FaultKind = Literal["die", "hang", "slow", "partition"]


@dataclass(frozen=True, kw_only=True)
class LoadCost:
    """What a load costs: `constant_s` seconds, and `s_per_byte` for each byte."""

    constant_s: float = 0.0
    s_per_byte: float = 0.0

    def seconds(self, weights_bytes: int) -> float:
        return self.constant_s + weights_bytes * self.s_per_byte


@dataclass(frozen=True, kw_only=True)
class LoadTiers:
    """What loads cost: from another machine, from the disk into host memory, and from there to the device."""

    remote: LoadCost = LoadCost()
    disk: LoadCost = LoadCost()
    host: LoadCost = LoadCost()


@dataclass(frozen=True, kw_only=True)
class SimulatedModel:
    """A model of a simulated worker.

    Attributes:
        spec: what the worker reports to the controller when it joins.
        profile: how long its work takes in truth.
    """

    spec: ModelSpec
    profile: Profile


@dataclass(frozen=True, kw_only=True)
class SimulatedWorker:
    """A worker, which is started again after it was lost.

    Attributes:
        name: of its first process; the second one is called `<name>.2`.
        startup_s: until it is ready, at the start and after it was lost.
        starts_ready: whether it is ready at the start.
        speed: how many times as fast as its profiles it computes.
        load_tiers: what its loads of adapters cost.
        transfer_s_per_byte: of the latents of a row that another worker has paused.
    """

    name: str
    models: tuple[SimulatedModel, ...]
    max_denoiser_rows: int = MAX_DENOISER_ROWS
    adapter_capacity: AdapterCapacity = ADAPTER_CAPACITY
    startup_s: float = 0.0
    starts_ready: bool = False
    speed: float = 1.0
    load_tiers: LoadTiers = LoadTiers()
    transfer_s_per_byte: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SimulatedAdapter:
    """An adapter that every worker knows; `tier` has its weights before a worker loads them."""

    spec: AdapterSpec
    tier: Tier = "disk"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong at one worker.

    Attributes:
        kind: it dies; its present or next effect, or its start, hangs while it still sends signs of life; all its work
            takes `factor` times as long; no message passes from and to it.
        worker: name of a `SimulatedWorker`; the fault is for the process that it has at `at_s`, unless it is slow: that
            is of the machine.
        at_s, for_s: on the virtual clock; None lasts until the end. `die` has no duration.
    """

    kind: FaultKind
    worker: str
    at_s: float
    for_s: float | None = None
    factor: float = 2.0


Schedule = Callable[[int], tuple[float, ...]]
"""The noise level at which each step starts, by the number of steps."""


@dataclass(frozen=True, kw_only=True)
class ReuseRules:
    """How earlier pictures are reused.

    Attributes:
        predictor: chooses starts; None reuses finished pictures only.
        schedule: of every model.
        entry_bytes: of one picture with its estimates.
        limits: of what is kept.
    """

    predictor: LevelPredictor | None
    schedule: Schedule
    entry_bytes: int
    limits: ReuseLimits


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A simulated fleet and its work.

    Attributes:
        requests: in order of arrival on the virtual clock, which begins at 0.
        control: limits and policies of the controller; its order, batching and adapter-mode policies are the replicas'.
        replica: further limits of the replicas; each worker's own rows, capacity and policies replace those in it.
        score: gives the score of a finished job whose route has a gate after it; None gives no score.
        reuse: how earlier pictures serve later requests; None for not at all.
        seed: of what is drawn: the spread of durations.
        warmup_s: virtual time at which the counts so far are kept aside.
        coalesces: whether ticks between which nothing changes are one event.
    """

    workers: tuple[SimulatedWorker, ...]
    requests: Iterable[ImageRequest]
    adapters: tuple[SimulatedAdapter, ...] = ()
    control: ControlConfig = field(default_factory=ControlConfig)
    replica: ReplicaConfig = field(default_factory=ReplicaConfig)
    faults: tuple[Fault, ...] = ()
    score: Callable[[Job], float | None] | None = None
    reuse: ReuseRules | None = None
    seed: int = 0
    warmup_s: float = 0.0
    coalesces: bool = True


class SimulatedRun(msgspec.Struct, kw_only=True):
    """What was counted in a run; every number is simulated.

    Attributes:
        end_s: virtual time of the last event.
        worker_s: seconds in which workers were ready, of all of them; `busy_s` of these they computed.
        adapter_loads: copies of adapters to devices.
        merges: folds of a composition, or of none, into weights.
        pauses: rows that were paused; `moves` of them went on in another worker.
        events: that the simulator handled.
        ticks: denoiser calls.
        arrived, ended: requests.
        is_complete: whether it ran to its end.
        warmup: what was counted until the end of the warm-up, with the time of effects that were under way; None before
            it, or without one.
    """

    end_s: float = 0.0
    worker_s: float = 0.0
    busy_s: float = 0.0
    adapter_loads: int = 0
    merges: int = 0
    pauses: int = 0
    moves: int = 0
    events: int = 0
    ticks: int = 0
    arrived: int = 0
    ended: int = 0
    is_complete: bool = True
    warmup: "SimulatedRun | None" = None


SpanKind = Literal["start", "encode", "fold", "step", "decode", "copy"]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """What a device did from `start_s` to `end_s`; `requests` took part; `start` is until it is ready."""

    worker: str
    kind: SpanKind
    start_s: float
    end_s: float
    model: str = ""
    requests: int = 0


OnOutcome = Callable[[Outcome], None]
OnSpan = Callable[[Span], None]
OnProgress = Callable[[SimulatedRun], bool]
"""Is called now and then with the counts so far; returns whether to go on."""

PROGRESS_EVENTS: Final = 2000
"""Events between two calls of `OnProgress`."""
