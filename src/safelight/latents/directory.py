"""What is kept for reuse: by request, by similarity, by tenant; the bytes are in a store."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from safelight.latents.entry import Entry
from safelight.latents.eviction import DecayedBenefit
from safelight.latents.index import ExactIndex, VectorIndex
from safelight.latents.limits import ReuseLimits
from safelight.latents.vectors import Vector, vector_of
from safelight.latents.veto import veto

CANDIDATES = 8
"""How many neighbours are looked at; a veto rule may speak against the nearest ones."""

ALIKE = 0.01
"""Neighbours within this cosine of the best are as good, and a draw takes one of them."""


@dataclass(frozen=True, kw_only=True)
class Near:
    """The result of a search.

    Attributes:
        entry: the neighbour to start from, if there is one, at this `similarity`.
        vetoed: the rule that speaks against the nearest one, if one does.
    """

    entry: Entry | None = None
    similarity: float = 0.0
    vetoed: str | None = None


@dataclass
class _Kept:
    entry: Entry
    uses: int = 0


@dataclass
class _Share:
    """What one tenant has in the store."""

    worth: DecayedBenefit
    size_bytes: int = 0


@dataclass
class ReuseDirectory:
    """Entries of all tenants; `now` is Unix time."""

    limits: ReuseLimits = field(default_factory=ReuseLimits)
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _exact: dict[str, str] = field(default_factory=dict)
    _indexes: dict[str, VectorIndex] = field(default_factory=dict)
    _shares: dict[str, _Share] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Entry]:
        return (kept.entry for kept in self._kept.values())

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._kept

    @property
    def size_bytes(self) -> int:
        return sum(share.size_bytes for share in self._shares.values())

    def bytes_of(self, owner: str) -> int:
        """Return the bytes of a tenant's entries."""
        share = self._shares.get(owner)
        return 0 if share is None else share.size_bytes

    def uses_of(self, entry_id: str) -> int:
        """Return how many pictures have started from an entry, or taken its free seed."""
        return self._kept[entry_id].uses

    def admits(self, owner: str) -> bool:
        """Whether there is a part of the store for this tenant."""
        return owner in self._shares or len(self._shares) < self.limits.tenants

    def exact(self, keys: Iterable[str], now: float, *, has_free_seed: bool = False) -> Entry | None:
        """Return the entry with the first of `keys` that one has."""
        for key in keys:
            kept = self._kept.get(self._exact.get(key, ""))
            if kept is not None and self._is_good(kept, now, counts_uses=has_free_seed):
                return kept.entry
        return None

    def near(self, partitions: Sequence[str], prompt: str, now: float, *, draw: int = 0) -> Near:
        """Return the most similar entry of some partitions that has estimates and that no veto rule speaks against.

        Args:
            partitions: those that the request may use.
            prompt: of the request.
            now: entries that are too old by then are passed over.
            draw: chooses among neighbours that are as good as the best one.
        """
        found = self._candidates(partitions, vector_of(prompt), now)
        allowed = [(entry, cosine) for entry, cosine in found if veto(prompt, entry.prompt) is None]
        vetoed = veto(prompt, found[0][0].prompt) if found else None
        if not allowed:
            return Near(vetoed=vetoed)
        alike = [each for each in allowed if each[1] >= allowed[0][1] - ALIKE]
        entry, cosine = alike[draw % len(alike)]
        return Near(entry=entry, similarity=cosine, vetoed=vetoed)

    def add(self, entry: Entry, now: float) -> tuple[Entry, ...]:
        """Keep an entry; returns those of its tenant that have to go, perhaps itself, which then was not kept."""
        if not self.admits(entry.owner) or entry.size_bytes > self.limits.bytes_per_tenant:
            return (entry,)
        gone = list(self._without(self._exact.get(entry.exact_key)))
        self._kept[entry.id] = _Kept(entry)
        self._exact[entry.exact_key] = entry.id
        if entry.noises:
            self._indexes.setdefault(entry.partition, ExactIndex()).add(entry.id, vector_of(entry.prompt))
        share = self._share(entry.owner)
        share.size_bytes += entry.size_bytes
        share.worth.add(entry.id, steps=entry.steps, size_bytes=entry.size_bytes, now=now)
        while share.size_bytes > self.limits.bytes_per_tenant:
            gone += self._without(share.worth.least())
        return tuple(gone)

    def used(self, entry_id: str, *, steps_saved: int, now: float, counts: bool = True) -> None:
        """Note that an entry has served a request, if it is still here; `counts` against its bound of uses."""
        kept = self._kept.get(entry_id)
        if kept is not None:
            kept.uses += counts
            self._shares[kept.entry.owner].worth.used(entry_id, steps_saved, now)

    def remove(self, entry_id: str) -> tuple[Entry, ...]:
        """Forget an entry; returns it if it was here."""
        return tuple(self._without(entry_id))

    def expire(self, now: float) -> tuple[Entry, ...]:
        """Forget entries that are too old, and return them."""
        old = [each.id for each in self if now - each.created_s > self.limits.ttl_s]
        return tuple(entry for entry_id in old for entry in self._without(entry_id))

    def purge(self, *, owner: str | None = None, prompt: str | None = None) -> tuple[Entry, ...]:
        """Forget the entries of a tenant or of all, with a prompt or with any, and return them."""
        meant = [
            each.id
            for each in self
            if (owner is None or each.owner == owner) and (prompt is None or each.prompt == prompt)
        ]
        return tuple(entry for entry_id in meant for entry in self._without(entry_id))

    def _candidates(self, partitions: Sequence[str], vector: Vector, now: float) -> list[tuple[Entry, float]]:
        found = [
            (self._kept[name], cosine)
            for partition in dict.fromkeys(partitions)
            if (index := self._indexes.get(partition)) is not None
            for name, cosine in index.search(vector, CANDIDATES)
        ]
        good = [(kept.entry, cosine) for kept, cosine in found if self._is_good(kept, now)]
        return sorted(good, key=lambda each: (-each[1], each[0].id))

    def _is_good(self, kept: _Kept, now: float, *, counts_uses: bool = True) -> bool:
        is_fresh = now - kept.entry.created_s <= self.limits.ttl_s
        return is_fresh and (not counts_uses or kept.uses < self.limits.max_uses)

    def _share(self, owner: str) -> _Share:
        return self._shares.setdefault(owner, _Share(worth=DecayedBenefit(half_life_s=self.limits.half_life_s)))

    def _without(self, entry_id: str | None) -> Iterator[Entry]:
        """Forget an entry, and yield it if it was here."""
        kept = self._kept.pop(entry_id or "", None)
        if kept is None:
            return
        entry = kept.entry
        if self._exact.get(entry.exact_key) == entry.id:
            del self._exact[entry.exact_key]
        index = self._indexes.get(entry.partition)
        if index is not None:
            index.remove(entry.id)
            if not len(index):
                del self._indexes[entry.partition]
        share = self._shares[entry.owner]
        share.size_bytes -= entry.size_bytes
        share.worth.remove(entry.id)
        yield entry
