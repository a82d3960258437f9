"""Requests go to the cheapest worker that has their adapters."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Final

from safelight.control.routing.protocol import RoutableFleet, RoutedRequest, Worker

MERGED_SHARE: Final = 0.6


@dataclass(frozen=True, kw_only=True)
class DloraDispatch:
    """A request goes to the worker with its adapters that needs the fewest calls, as in dLoRA.

    Full calls of one composition run merged, in `merged_share` of the time, and the rows that are left over share
    calls (Wu et al., OSDI 2024: `engine_manager.py` of the artifact). Among equals, the least loaded worker gets it.
    While no worker with room has the adapters, all with room are compared.

    Attributes:
        merged_share: duration of a merged call over that of one that is not.
    """

    name: ClassVar[str] = "dlora-dispatch"
    merged_share: float = MERGED_SHARE

    def choose(self, request: RoutedRequest, fleet: RoutableFleet[Worker], now: float) -> Worker | None:
        """Return the cheapest worker that hosts the adapters, or else the cheapest one."""
        workers = fleet.hosting or fleet.with_room
        return min(workers, key=self._cost, default=None)

    def _cost(self, worker: Worker) -> tuple[float, int]:
        cost = dispatch_cost(worker.rows_by_composition, worker.batch_rows, merged_share=self.merged_share)
        return cost, worker.load


def dispatch_cost(
    rows_by_composition: Collection[int], batch_rows: int, *, merged_share: float = MERGED_SHARE
) -> float:
    """Return the calls that these rows need, in calls over plain weights; `rows_by_composition` are sums."""
    full = sum(rows // batch_rows for rows in rows_by_composition)
    left = sum(rows % batch_rows for rows in rows_by_composition)
    return merged_share * full + left // batch_rows
