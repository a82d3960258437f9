"""Workers in order of load."""

import heapq
from typing import Generic, TypeVar

Member = TypeVar("Member")

_SPARE_ENTRIES = 64


class LoadRanking(Generic[Member]):
    """Finds the member with the smallest load; among equals, the one whose load changed longest ago.

    Every operation takes O(log n) amortized: outdated heap entries are skipped, and dropped once they outnumber the
    others.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Member]] = []
        self._change_of: dict[Member, int] = {}
        self._changes = 0

    def __len__(self) -> int:
        return len(self._change_of)

    def update(self, member: Member, load: int) -> None:
        """Set the load of a member, which may be new; this counts as a change of its load."""
        self._changes = change = self._changes + 1
        self._change_of[member] = change
        heapq.heappush(self._heap, (load, change, member))
        if len(self._heap) > 2 * len(self._change_of) + _SPARE_ENTRIES:
            self._drop_outdated()

    def remove(self, member: Member) -> None:
        """Forget a member; raises KeyError if there is no such member."""
        del self._change_of[member]

    @property
    def first(self) -> Member | None:
        """The least loaded member; None if there is none."""
        heap, change_of = self._heap, self._change_of
        while heap:
            _, change, member = heap[0]
            if change_of.get(member) == change:
                return member
            heapq.heappop(heap)
        return None

    def _drop_outdated(self) -> None:
        change_of = self._change_of
        self._heap = [entry for entry in self._heap if change_of.get(entry[2]) == entry[1]]
        heapq.heapify(self._heap)
