"""Earlier pictures in memory, those of each tenant within its own part."""

from collections import OrderedDict

from safelight.service.reuse.kept_picture import KeptPicture


class RamTier:
    """The pictures of each tenant that were used last, up to `bytes_per_tenant`: no tenant's use moves another's."""

    def __init__(self, bytes_per_tenant: int) -> None:
        self._bytes_per_tenant = bytes_per_tenant
        self._of_owner: dict[str, OrderedDict[str, KeptPicture]] = {}
        self._owners: dict[str, str] = {}
        self._bytes_of: dict[str, int] = {}

    @property
    def size_bytes(self) -> int:
        return sum(self._bytes_of.values())

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._owners

    def get(self, entry_id: str) -> KeptPicture | None:
        """Return a picture, which then counts as the one used last."""
        owner = self._owners.get(entry_id)
        if owner is None:
            return None
        own = self._of_owner[owner]
        own.move_to_end(entry_id)
        return own[entry_id]

    def put(self, kept: KeptPicture) -> tuple[str, ...]:
        """Keep a picture; returns the ids of those that had to go, perhaps its own."""
        owner = kept.entry.owner
        self.drop(kept.entry.id)
        own = self._of_owner.setdefault(owner, OrderedDict())
        own[kept.entry.id] = kept
        self._owners[kept.entry.id] = owner
        self._bytes_of[owner] = self._bytes_of.get(owner, 0) + kept.size_bytes
        gone: list[str] = []
        while own and self._bytes_of[owner] > self._bytes_per_tenant:
            entry_id = next(iter(own))
            self.drop(entry_id)
            gone.append(entry_id)
        return tuple(gone)

    def drop(self, entry_id: str) -> None:
        """Forget a picture; unknown ones are ignored."""
        owner = self._owners.pop(entry_id, None)
        if owner is not None:
            self._bytes_of[owner] -= self._of_owner[owner].pop(entry_id).size_bytes
