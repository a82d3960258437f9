"""Pools: models whose workers have to do each other's work, since some worker serves both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from safelight.control.batch import Kind
from safelight.control.worker_state import WorkerState
from safelight.control.workers import COMPARED_WORKERS, Workers


@dataclass(frozen=True, kw_only=True)
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

    @property
    def held_s(self) -> float:
        """Seconds of the workers' time, in full calls, for all that they hold."""
        return sum(worker.left_s for worker in self.workers)

    @property
    def is_learned(self) -> bool:
        """Whether the workers have shown their paces."""
        return all(
            any(worker.paces[model].is_learned for model in worker.paces) for worker in self.workers[:COMPARED_WORKERS]
        )

    def mixes(self, kinds: Iterable[Kind], kind: Kind) -> bool:
        """Return whether some of `kinds` are of this pool, and not `kind`."""
        return any(other != kind and other[0] in self.models for other in kinds)


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
