"""The bytes of earlier pictures: RAM, then disk; and the directory of what is there."""

from collections.abc import Iterable

from safelight.core.log import Log
from safelight.latents.directory import ReuseDirectory
from safelight.latents.entry import Entry
from safelight.service.reuse.cache_folder import CacheFolder
from safelight.service.reuse.disk import READ_WITHIN_S, DiskEvents, DiskFault, DiskTier
from safelight.service.reuse.kept_picture import KeptPicture
from safelight.service.reuse.metrics import EvictionReason, ReuseMetrics
from safelight.service.reuse.ram import RamTier


class ReuseStore:
    """Keeps what the directory lists; an entry of which nothing is left in RAM or on disk leaves the directory."""

    def __init__(
        self,
        directory: ReuseDirectory,
        *,
        ram_bytes: int,
        folder: CacheFolder | None,
        metrics: ReuseMetrics,
        log: Log,
        read_within_s: float = READ_WITHIN_S,
    ) -> None:
        self.directory = directory
        self._ram = RamTier(ram_bytes // directory.limits.tenants)
        self._metrics = metrics
        self._log = log
        self._on_disk: set[str] = set()
        events = DiskEvents(written=self._written, failed=self._failed)
        self._disk = None if folder is None else DiskTier(folder, events=events, log=log, read_within_s=read_within_s)
        metrics.watch(
            entries=lambda: len(self.directory),
            ram_bytes=lambda: self._ram.size_bytes,
            all_bytes=lambda: self.directory.size_bytes,
        )

    @property
    def ram_bytes(self) -> int:
        return self._ram.size_bytes

    async def load(self, now: float) -> tuple[Entry, ...]:
        """List what an earlier run has left on disk; returns what was kept of it."""
        if self._disk is None:
            return ()
        try:
            scan = await self._disk.scan()
        except OSError as error:
            self._log.warning("reuse cache cannot be read", reason=error.strerror or str(error))
            return ()
        self._on_disk.update(entry.id for entry in scan.entries)
        for entry in sorted(scan.entries, key=lambda each: each.created_s):
            self._drop(self.directory.add(entry, now), "room")
        self.expire(now)
        kept = tuple(self.directory)
        self._log.info("reuse cache loaded", entries=len(kept), found=len(scan.entries), damaged=scan.damaged)
        return kept

    async def get(self, entry: Entry) -> KeptPicture | None:
        """Return the bytes of an entry, or None if they cannot be had in time."""
        kept = self._ram.get(entry.id)
        if kept is not None:
            return kept
        if self._disk is None or entry.id not in self._on_disk:
            self._forget(entry.id)
            return None
        kept = await self._disk.read(entry.id)
        if kept is not None and entry.id in self.directory:
            if kept.entry != entry:
                self._forget(entry.id)
                return None
            self._put_in_ram(kept)
        return kept

    def add(self, kept: KeptPicture, now: float, *, is_durable: bool) -> None:
        """Keep a picture; what has to go for it goes."""
        self.expire(now)
        self._drop(self.directory.add(kept.entry, now), "room")
        if kept.entry.id not in self.directory:
            return
        self._put_in_ram(kept)
        if self._disk is not None and is_durable:
            self._disk.write(kept)

    def expire(self, now: float) -> None:
        """Drop what is too old."""
        self._drop(self.directory.expire(now), "age")

    def purge(self, *, owner: str | None, prompt: str | None) -> int:
        """Drop the pictures of a tenant or of all, with a prompt or with any; returns how many."""
        gone = self.directory.purge(owner=owner, prompt=prompt)
        self._drop(gone, "purge")
        return len(gone)

    def close(self) -> None:
        """Write what waits, unless the disk hangs."""
        if self._disk is not None:
            self._disk.close()

    def _put_in_ram(self, kept: KeptPicture) -> None:
        for entry_id in self._ram.put(kept):
            if self._disk is None:
                self._forget(entry_id)

    def _drop(self, entries: Iterable[Entry], reason: EvictionReason) -> None:
        entries = tuple(entries)
        for entry in entries:
            self._ram.drop(entry.id)
            if self._disk is not None:
                self._on_disk.discard(entry.id)
                self._disk.remove(entry.id)
        self._metrics.evicted(reason, len(entries))

    def _written(self, entry_id: str) -> None:
        if entry_id in self.directory:
            self._on_disk.add(entry_id)
        elif self._disk is not None:
            self._disk.remove(entry_id)

    def _failed(self, fault: DiskFault, entry_id: str | None) -> None:
        self._metrics.failed(fault)
        if entry_id is not None:
            self._on_disk.discard(entry_id)
            self._forget(entry_id)

    def _forget(self, entry_id: str) -> None:
        if entry_id not in self._ram:
            self._drop(self.directory.remove(entry_id), "lost")
