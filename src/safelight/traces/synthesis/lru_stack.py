"""The adapters of one instance by the time of their last use."""

NEAR = 10
"""Depths that are looked at one by one."""


class LruStack:
    """The adapters that an instance has used, the last one on top.

    The depth of an adapter is the number of others used since it was, so an LRU cache that keeps more adapters than
    that still has it (Mattson et al., IBM Systems Journal 9(2), 1970). Depths from `NEAR` on, and of adapters that are
    new, count as `NEAR`.

    Args:
        uses: where uses are counted by depth, over any number of instances; it has `NEAR + 1` entries.
    """

    def __init__(self, uses: list[int]) -> None:
        self._uses = uses
        self._names: list[str | None] = []
        self._known = set[str | None]()

    def __len__(self) -> int:
        return len(self._names)

    def at(self, depth: int) -> str | None:
        """Return the adapter at a depth."""
        return self._names[-1 - depth]

    def depth_of(self, name: str | None) -> int:
        """Return how deep an adapter lies."""
        near = self._names[-NEAR:]
        return len(near) - 1 - near.index(name) if name in near else NEAR

    def use(self, name: str | None) -> None:
        """Take an adapter to the top, and count from where."""
        depth = self.depth_of(name)
        self._uses[depth] += 1
        if depth < NEAR:
            del self._names[-1 - depth]
        elif name in self._known:
            self._names.remove(name)
        self._known.add(name)
        self._names.append(name)
