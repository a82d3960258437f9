"""The figures of one simulated run."""

from typing import Literal

import msgspec


class RunKey(msgspec.Struct, frozen=True, kw_only=True):
    """Which run of a scenario.

    Attributes:
        policy: the name of the choice.
        load: multiple of the workload's own rate.
        seed: of all that is drawn.
        variant: of the scenario; empty if it has none.
    """

    policy: str
    variant: str = ""
    load: float
    seed: int

    @property
    def text(self) -> str:
        variant = f"{self.variant}, " if self.variant else ""
        return f"{variant}{self.policy}, load {self.load:g}, seed {self.seed}"

    @property
    def file_stem(self) -> str:
        """A name for files."""
        name = f"{self.variant}-{self.policy}" if self.variant else self.policy
        kept = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
        return f"{kept}-load{self.load:g}-seed{self.seed}"


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of requests and of devices; None where there is nothing to measure.

    Attributes:
        simulated: always true.
        requests: that ended, whatever the way; those that arrived during the warm-up do not count.
        finished, refused, expired, failed, cancelled: how they ended.
        late: finished after their deadlines.
        attainment: share of requests that were finished in time; those without a deadline are in time when finished.
        violations: share of requests that were not: late, refused, expired, failed or cancelled.
        latency_mean_s, latency_p50_s, latency_p95_s, latency_p99_s: from arrival to the picture, of finished requests.
        latency_per_step_mean_s: mean of the latency divided by the steps of the last stage; of language models, per
            token.
        latency_per_step_p90_s: 90th percentile of the same.
        queue_per_step_mean_s: mean of the latency without computing, divided by the steps in the same way.
        queue_mean_s: from arrival to the first step, of finished requests.
        throughput_per_s: finished requests per second of virtual time.
        quality: mean over finished requests whose level has a known quality; of a cascade that has a curve of it, that
            of the mix of pictures.
        escalated: share of finished requests that passed more than one stage.
        retries: attempts lost.
        adapter_loads_per_request: adapters copied to devices after the warm-up, per finished request.
        merges: changes of what is folded into the weights; all counts and seconds from here on, up to `gpu_s`, and
            events and ticks are those after the warm-up.
        pauses: rows that were paused.
        moves: requests that went on in another worker.
        utilization: share of the workers' time in which they computed.
        gpu_s: seconds of computing, of all workers.
        end_s: virtual time of the end.
        events: that the simulator handled.
        ticks: denoiser calls.
    """

    simulated: Literal[True] = True
    requests: int
    finished: int
    refused: int
    expired: int
    failed: int
    cancelled: int
    late: int
    attainment: float | None
    violations: float | None
    latency_mean_s: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    latency_per_step_mean_s: float | None
    latency_per_step_p90_s: float | None
    queue_per_step_mean_s: float | None
    queue_mean_s: float | None
    throughput_per_s: float | None
    quality: float | None
    escalated: float | None
    retries: int
    adapter_loads_per_request: float | None
    merges: int
    pauses: int
    moves: int
    utilization: float | None
    gpu_s: float
    end_s: float
    events: int
    ticks: int


NUMBERS = tuple(field for field in Figures.__struct_fields__ if field != "simulated")
"""The names of all figures."""

SHARES = frozenset({"attainment", "violations", "escalated", "utilization"})
"""Figures that cannot exceed 1."""

SIGNED = frozenset({"quality"})
"""Figures that can be negative."""


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulator counts in one run after the warm-up.

    Attributes:
        worker_s: seconds in which workers were there, of all of them.
        busy_s: seconds in which they computed.
        end_s: of virtual time, from the start of the run.
    """

    worker_s: float = 0.0
    busy_s: float = 0.0
    adapter_loads: int = 0
    merges: int = 0
    pauses: int = 0
    moves: int = 0
    events: int = 0
    ticks: int = 0
    end_s: float = 0.0
