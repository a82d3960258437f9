"""Pools: models whose workers have to do each other's work, since some worker serves both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from safelight.control.batch import Kind
from safelight.control.worker_state import WorkerState, WorkSum
from safelight.control.workers import COMPARED_WORKERS, Workers

EXACT_EVERY: Final = 16
"""The work that is held is summed anew after so many changes for each worker, so that rounding errors stay small."""


@dataclass(eq=False, kw_only=True)
class Pool:
    """Some models, and the workers that serve them.

    Attributes:
        name: of the pool; one of its models.
        least_workers: as many serve each of the models at least.
    """

    name: str
    models: frozenset[str]
    workers: Sequence[WorkerState]
    least_workers: int

    def __post_init__(self) -> None:
        self._work = WorkSum(sum(worker.left_s for worker in self.workers))
        self._has_learned = False
        for worker in self.workers:
            worker.work = self._work

    @property
    def held_s(self) -> float:
        """Seconds of the workers' time, in full calls, for all that they hold."""
        if self._work.changes > EXACT_EVERY * len(self.workers):
            self._work.set(sum(worker.left_s for worker in self.workers))
        return self._work.total_s

    @property
    def is_learned(self) -> bool:
        """Whether the workers have shown their paces."""
        self._has_learned = self._has_learned or all(
            any(pace.is_learned for pace in worker.paces.values()) for worker in self.workers[:COMPARED_WORKERS]
        )
        return self._has_learned

    def mixes(self, kinds: Iterable[Kind], kind: Kind) -> bool:
        """Return whether some of `kinds` are of this pool, and not `kind`."""
        models = self.models
        return any(other != kind and other[0] in models for other in kinds)


def pools_of(workers: Workers) -> Mapping[str, Pool]:
    """Return the pool of each model that is served."""
    names = {model: model for model in workers.by_model}
    for worker in workers.responsive:
        joined = {names[model] for model in worker.paces}
        if len(joined) > 1:
            first = min(joined)
            names = {model: first if name in joined else name for model, name in names.items()}
    made = {}
    for name in set(names.values()):
        models = frozenset(model for model, own in names.items() if own == name)
        made[name] = Pool(
            name=name,
            models=models,
            workers=[worker for worker in workers.responsive if not models.isdisjoint(worker.paces)],
            least_workers=min(len(workers.serving(model)) for model in models),
        )
    return {model: made[name] for model, name in names.items()}
