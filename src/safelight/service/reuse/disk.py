"""The pictures on disk, behind threads: a disk that is full, slow or gone costs hits, and never an answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, TypeVar

from safelight.core.errors import LatentsFileError
from safelight.core.log import Log
from safelight.service.reuse.cache_folder import CacheFolder, Scan
from safelight.service.reuse.job_thread import JobThread
from safelight.service.reuse.kept_picture import KeptPicture

READ_WITHIN_S: Final = 0.5
"""Longer than that, a picture is treated as absent: painting anew is not much slower."""

MAX_WRITING_BYTES: Final = 64 << 20
"""Of pictures that wait for a slow disk; further ones stay in RAM only."""

Result = TypeVar("Result")

DiskFault = Literal["read", "write", "slow", "damaged"]


@dataclass(frozen=True, kw_only=True)
class DiskEvents:
    """What a disk tells, on the event loop.

    Attributes:
        written: a picture's file is there.
        failed: a fault, and the id of the picture that is not there, if it is known not to be.
    """

    written: Callable[[str], None]
    failed: Callable[[DiskFault, str | None], None]


class DiskTier:
    """Reads, writes and deletes in two threads of its own; a thread that does not answer is not asked again.

    Args:
        folder: of the pictures.
        events: are told about.
        log: gets one line when faults of a kind begin.
        read_within_s: how long a read may take.
    """

    def __init__(
        self, folder: CacheFolder, *, events: DiskEvents, log: Log, read_within_s: float = READ_WITHIN_S
    ) -> None:
        self._folder = folder
        self._events = events
        self._log = log
        self._read_within_s = read_within_s
        self._reader = JobThread("reuse-reader")
        self._writer = JobThread("reuse-writer")
        self._loop = asyncio.get_running_loop()
        self._late_reads = 0
        self._writing_bytes = 0
        self._said: set[DiskFault] = set()

    async def scan(self) -> Scan:
        """Find what earlier runs have written; raises OSError."""
        future: asyncio.Future[Scan] = self._loop.create_future()
        self._reader.add(partial(self._answer, future, self._folder.scan))
        return await future

    async def read(self, entry_id: str) -> KeptPicture | None:
        """Return a picture, or None if it cannot be read in time."""
        if self._late_reads:
            self._fail("slow", None, "an earlier read has not ended")
            return None
        future: asyncio.Future[KeptPicture] = self._loop.create_future()
        self._reader.add(partial(self._answer, future, partial(self._folder.read, entry_id)))
        try:
            async with asyncio.timeout(self._read_within_s):
                return await asyncio.shield(future)
        except TimeoutError:
            self._late_reads += 1
            future.add_done_callback(self._came_late)
            self._fail("slow", None, f"a read takes longer than {self._read_within_s:g} s")
        except LatentsFileError as error:
            self._fail("damaged", entry_id, str(error))
        except OSError as error:
            self._fail("read", entry_id, error.strerror or str(error))
        return None

    def write(self, kept: KeptPicture) -> None:
        """Write a picture soon, unless too many bytes wait."""
        size_bytes = kept.size_bytes
        if self._writing_bytes + size_bytes > MAX_WRITING_BYTES:
            self._fail("slow", None, f"{self._writing_bytes:,} bytes wait to be written")
            return
        self._writing_bytes += size_bytes

        def job() -> None:
            try:
                self._folder.write(kept)
            except OSError as error:
                self._call(self._wrote, kept.entry.id, size_bytes, error.strerror or str(error))
            else:
                self._call(self._wrote, kept.entry.id, size_bytes, None)

        self._writer.add(job)

    def remove(self, entry_id: str) -> None:
        """Delete a picture soon."""

        def job() -> None:
            try:
                self._folder.remove(entry_id)
            except OSError as error:
                self._call(self._fail, "write", None, error.strerror or str(error))

        self._writer.add(job)

    def close(self) -> None:
        """End after what waits, or without it if the disk hangs."""
        self._writer.close()
        self._reader.close()

    def _answer(self, future: asyncio.Future[Result], work: Callable[[], Result]) -> None:
        try:
            result = work()
        except (OSError, LatentsFileError) as error:
            self._call(_break, future, error)
        else:
            self._call(_succeed, future, result)

    def _call(self, action: Callable[..., None], *arguments: object) -> None:
        """Have something called on the event loop, unless the loop has ended."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action, *arguments)

    def _came_late(self, future: asyncio.Future[KeptPicture]) -> None:
        self._late_reads -= 1
        if not future.cancelled():
            future.exception()

    def _wrote(self, entry_id: str, size_bytes: int, reason: str | None) -> None:
        self._writing_bytes -= size_bytes
        if reason is None:
            self._events.written(entry_id)
            self._said.discard("write")
        else:
            self._fail("write", None, reason)

    def _fail(self, fault: DiskFault, entry_id: str | None, reason: str) -> None:
        self._events.failed(fault, entry_id)
        if fault not in self._said:
            self._said.add(fault)
            self._log.warning("reuse cache fails", fault=fault, folder=str(self._folder.path), reason=reason)


def _succeed(future: asyncio.Future[Result], result: Result) -> None:
    if not future.cancelled():
        future.set_result(result)


def _break(future: asyncio.Future[Result], error: Exception) -> None:
    if not future.cancelled():
        future.set_exception(error)
