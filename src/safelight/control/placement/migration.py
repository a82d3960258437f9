"""Which requests leave overloaded workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from statistics import fmean
from typing import Final

from safelight.adapters.capacity import slots_of
from safelight.control.placement.protocol import PlacementView, RequestMove
from safelight.control.request_state import RequestState
from safelight.control.worker_state import WorkerState
from safelight.core.adapter import AdapterHandle, AdapterSpec
from safelight.planner.balancing import balanced
from safelight.planner.exact_migration import best_moves
from safelight.planner.migration import Assignment, MigrationProblem, MigrationWorker, MovableRequest, merged

ABOVE_MEAN: Final = 0.5
MOST_OVERLOADED: Final = 8
LEAST_STEPS: Final = 2
MOST_STOPS: Final = 2
MOVE_S: Final = 0.05

MOST_KINDS: Final = 64
GAP: Final = 0.01
NODES: Final = 1
"""A pair of workers with at most so many kinds of requests is solved to 1 % at the root of the search, which takes
some 10 ms; the approximation decides otherwise. So a plan does not hold up the server."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """Requests move from workers that have much more to do than the mean to those that have least.

    One overloaded worker and the least loaded one are balanced exactly, but for `gap` (dLoRA's integer program: Wu et
    al., OSDI 2024). More of them are balanced approximately, all at once.

    Attributes:
        above_mean: denoiser rows that an overloaded worker has above the mean, over those of a full call.
        overloaded: how many workers are relieved at most in one plan.
        least_steps: that a request has left to move.
        stops: pauses after which a request moves no more.
        move_s: seconds that a move costs.
        kinds: how many kinds of requests an exact solution may have.
        gap: by what share its answer may be worse than the best one.
    """

    above_mean: float = ABOVE_MEAN
    overloaded: int = MOST_OVERLOADED
    least_steps: int = LEAST_STEPS
    stops: int = MOST_STOPS
    move_s: float = MOVE_S
    kinds: int = MOST_KINDS
    gap: float = GAP

    def moves(self, view: PlacementView) -> tuple[RequestMove, ...]:
        """Return the moves that make the work of the workers end sooner."""
        workers = self._involved(view.workers.responsive)
        if len(workers) < 2:
            return ()
        specs = {each.handle: each.spec for each in view.adapters.registered}
        held = [(number, request) for number, worker in enumerate(workers) for request in worker.requests.values()]
        movable = [(number, request) for number, request in held if self._may_move(request, workers, specs)]
        names = sorted({handle for _, request in held for handle in request.job.handles if handle in specs})
        problem, numbers = self._problem(workers, held, movable, [specs[name] for name in names], names)
        return _moves(self._solved(problem), [request for _, request in movable], numbers, problem, workers)

    def _involved(self, workers: Sequence[WorkerState]) -> Sequence[WorkerState]:
        """Return the overloaded workers, and as many of those with the least to do."""
        if len(workers) < 2:
            return ()
        mean = fmean(worker.used_rows for worker in workers)
        over = nlargest(
            self.overloaded,
            (worker for worker in workers if worker.used_rows - mean >= self.above_mean * worker.max_denoiser_rows),
            key=_load,
        )
        under = [worker for worker in workers if worker.used_rows < mean and not _is_full(worker)]
        return [*over, *nsmallest(len(over), under, key=_load)] if over and under else ()

    def _may_move(
        self, request: RequestState, workers: Sequence[WorkerState], specs: dict[AdapterHandle, AdapterSpec]
    ) -> bool:
        return (
            not request.is_withdrawn
            and not request.is_suspect
            and request.stops < self.stops
            and _steps_left(request) >= self.least_steps
            and all(handle in specs for handle in request.job.handles)
            and all(worker.serves(request.model) for worker in workers)
        )

    def _problem(
        self,
        workers: Sequence[WorkerState],
        held: Sequence[tuple[int, RequestState]],
        movable: Sequence[tuple[int, RequestState]],
        specs: Sequence[AdapterSpec],
        names: Sequence[AdapterHandle],
    ) -> tuple[MigrationProblem, Sequence[int]]:
        """Return the problem, and the kind of each movable request."""
        number_of = {name: number for number, name in enumerate(names)}
        moving = {request.id for _, request in movable}
        kinds, numbers = merged(
            [
                MovableRequest(
                    at=at,
                    adapters=frozenset(number_of[handle] for handle in request.job.handles),
                    work_s=tuple(_work_s(worker, request) for worker in workers),
                    memory=request.denoiser_rows,
                )
                for at, request in movable
            ]
        )
        fixed = [[request for at, request in held if at == n and request.id not in moving] for n in range(len(workers))]
        problem = MigrationProblem(
            workers=[
                MigrationWorker(
                    fixed_s=sum(_work_s(worker, request) for request in staying),
                    pinned=frozenset(
                        number_of[h] for request in staying for h in request.job.handles if h in number_of
                    ),
                    hosted=frozenset(number_of[handle] for handle in worker.resident if handle in number_of),
                    slots=worker.ready.device_ranks,
                    memory=worker.capacity_rows - sum(request.denoiser_rows for request in staying),
                )
                for worker, staying in zip(workers, fixed, strict=True)
            ],
            requests=kinds,
            sizes=[slots_of(spec) if spec.kind == "lora" else 0 for spec in specs],
            load_s=[workers[0].load_s(spec.weights_bytes) for spec in specs],
            move_s=self.move_s,
            overflow_s=max((max(kind.work_s) / max(1.0, kind.memory) for kind in kinds), default=0.0),
            least_gain_s=self.move_s,
        )
        return problem, numbers

    def _solved(self, problem: MigrationProblem) -> Assignment:
        if len(problem.workers) == 2 and len(problem.requests) <= self.kinds:
            return best_moves(problem, most_nodes=NODES, gap=self.gap)
        return balanced(problem)


def _moves(
    answer: Assignment,
    movable: Sequence[RequestState],
    numbers: Sequence[int],
    problem: MigrationProblem,
    workers: Sequence[WorkerState],
) -> tuple[RequestMove, ...]:
    """Return which requests move: of each kind those first that have run the fewest steps, and came last."""
    moves: list[RequestMove] = []
    for kind, counts in enumerate(answer.counts):
        alike = [request for request, number in zip(movable, numbers, strict=True) if number == kind]
        leaving = iter(sorted(alike, key=lambda request: (request.step, -request.sequence)))
        for at, count in enumerate(counts):
            if at != problem.requests[kind].at:
                moves += [RequestMove(request=next(leaving), worker=workers[at]) for _ in range(count)]
    return tuple(moves)


def _work_s(worker: WorkerState, request: RequestState) -> float:
    """Return the seconds of a worker's time, in full calls, for the steps that a request has left."""
    model, width, height = request.job.kind
    rows = worker.max_denoiser_rows
    step_row_s = worker.paces[model].tick_s(rows, width=width, height=height) / rows
    return _steps_left(request) * request.denoiser_rows * step_row_s


def _steps_left(request: RequestState) -> int:
    return request.job.level.steps_to_run - request.step


def _is_full(worker: WorkerState) -> bool:
    return not worker.is_open


def _load(worker: WorkerState) -> tuple[int, int]:
    return worker.used_rows, worker.number
