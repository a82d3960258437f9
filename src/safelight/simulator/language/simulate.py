"""Runs replicas of a language model in virtual time."""

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from safelight.adapters.mode import ModePolicy
from safelight.control.routing.protocol import RoutingPolicy
from safelight.core.adapter import LoraUse
from safelight.core.level import Level, Route
from safelight.core.outcome import Outcome, StageOutcome, Status
from safelight.core.request import ImageRequest
from safelight.simulator.language.jobs import LanguageRequest, Sequence
from safelight.simulator.language.replica import Iteration, LanguageConfig, LanguageReplica
from safelight.simulator.language.routing import route
from safelight.simulator.simulation import OnOutcome, OnProgress, OnSpan, SimulatedRun, Span

PROGRESS_ITERATIONS: Final = 500
TOO_LONG: Final = "too_long"
"""Why a request is refused whose keys and values would never fit."""


@dataclass(frozen=True, kw_only=True)
class LanguageSimulation:
    """Replicas of one language model, and requests in order of arrival.

    Attributes:
        workers: their names.
        make_policy: makes the adapter mode of one replica.
        routing: chooses the replica of each request.
        warmup_s: virtual time at which the counts so far are kept aside.
    """

    model: str
    workers: tuple[str, ...]
    config: LanguageConfig
    make_policy: Callable[[], ModePolicy]
    routing: RoutingPolicy
    requests: Iterable[LanguageRequest]
    warmup_s: float = 0.0


def simulate_language(
    simulation: LanguageSimulation, *, on_outcome: OnOutcome, on_span: OnSpan, on_progress: OnProgress
) -> SimulatedRun:
    """Simulate until every request has ended, and return what was counted.

    A request goes to a replica as it arrives, and stays there. Of events of one time, iterations end first.
    """
    return _LanguageRun(simulation, on_outcome, on_span).run(on_progress)


class _LanguageRun:
    def __init__(self, simulation: LanguageSimulation, on_outcome: OnOutcome, on_span: OnSpan) -> None:
        self._simulation, self._on_outcome, self._on_span = simulation, on_outcome, on_span
        self._replicas = [LanguageReplica(simulation.config, simulation.make_policy()) for _ in simulation.workers]
        self._ends: list[tuple[float, int, Iteration]] = []
        self._busy = [False] * len(self._replicas)
        self._counts = SimulatedRun()

    def run(self, on_progress: OnProgress) -> SimulatedRun:
        counts, arrivals = self._counts, iter(self._simulation.requests)
        following = next(arrivals, None)
        number: int | None
        while following is not None or self._ends:
            self._keep_warmup(math.inf if following is None else following.arrived_s)
            if self._ends and (following is None or self._ends[0][0] <= following.arrived_s):
                now, number, iteration = heapq.heappop(self._ends)
                self._end(number, iteration, now)
            else:
                assert following is not None
                now, number = following.arrived_s, self._arrive(following)
                following = next(arrivals, None)
            counts.end_s = now
            counts.events += 1
            if number is not None and not self._busy[number]:
                self._begin(number, now)
            if counts.events % PROGRESS_ITERATIONS == 0 and not on_progress(counts):
                counts.is_complete = False
                break
        counts.worker_s = counts.end_s * len(self._replicas)
        return counts

    def _keep_warmup(self, arrives_s: float) -> None:
        """Keep the counts of the warm-up aside if the next event comes after it."""
        warmup_s, ends_s = self._simulation.warmup_s, self._ends[0][0] if self._ends else math.inf
        if self._counts.warmup is not None or not 0 < warmup_s <= min(arrives_s, ends_s):
            return
        under_way_s = sum(warmup_s - (end_s - iteration.seconds) for end_s, _, iteration in self._ends)
        self._counts.warmup = msgspec.structs.replace(
            self._counts,
            worker_s=warmup_s * len(self._replicas),
            busy_s=self._counts.busy_s + under_way_s,
        )

    def _arrive(self, request: LanguageRequest) -> int | None:
        """Give a request to a replica, and return which one; None if it is refused."""
        sequence = self._counts.arrived
        self._counts.arrived += 1
        number = route(request, sequence, self._replicas, self._simulation.routing, request.arrived_s)
        if not self._replicas[number].fits(request):
            self._counts.ended += 1
            self._on_outcome(self._outcome(request, None, "", request.arrived_s))
            return None
        self._replicas[number].add(request)
        return number

    def _begin(self, number: int, now: float) -> None:
        iteration = self._replicas[number].iterate(now)
        if iteration is not None:
            self._busy[number] = True
            heapq.heappush(self._ends, (now + iteration.seconds, number, iteration))

    def _end(self, number: int, iteration: Iteration, now: float) -> None:
        counts, worker = self._counts, self._simulation.workers[number]
        self._busy[number] = False
        counts.ticks += 1
        counts.busy_s += iteration.seconds
        counts.adapter_loads += iteration.adapter_loads
        counts.merges += iteration.has_switched
        counts.pauses += iteration.preemptions
        self._on_span(
            Span(
                worker=worker,
                kind="step",
                start_s=now - iteration.seconds,
                end_s=now,
                model=self._simulation.model,
                requests=iteration.sequences,
            )
        )
        for sequence in iteration.finished:
            counts.ended += 1
            self._on_outcome(self._outcome(sequence.request, sequence, worker, now))

    def _outcome(self, request: LanguageRequest, sequence: Sequence | None, worker: str, now: float) -> Outcome:
        """Return the record of a request: its output tokens are steps."""
        level = Level(
            model=self._simulation.model,
            steps=request.output_tokens,
            guidance_scale=1.0,
            guidance="none",
            sampler="decode",
        )
        status: Status = "rejected" if sequence is None else "finished"
        stages: tuple[StageOutcome, ...] = ()
        if sequence is not None:
            began_s = request.arrived_s if sequence.began_s is None else sequence.began_s
            stages = (
                StageOutcome(
                    level=level,
                    worker=worker,
                    queue_s=began_s - request.arrived_s,
                    total_s=now - request.arrived_s,
                    compute_s=sequence.compute_s,
                ),
            )
        return Outcome(
            request=ImageRequest(
                id=request.id,
                prompt="",
                width=1,
                height=1,
                seed=0,
                arrived_s=request.arrived_s,
                model=self._simulation.model,
                steps=request.output_tokens,
                loras=() if request.adapter is None else (LoraUse(name=request.adapter, scale=1.0),),
                deadline_s=request.deadline_s,
            ),
            route=Route(levels=(level,)),
            status=status,
            reason="" if sequence is not None else TOO_LONG,
            total_s=now - request.arrived_s,
            stages=stages,
        )
