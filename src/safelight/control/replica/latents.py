"""Which captured latents a worker keeps."""

from safelight.control.replica.effects import Effect, Emit, ForgetLatents, KeepLatents, SendLatents
from safelight.control.replica.events import LatentsKept, LatentsNotKept
from safelight.core.source import LatentsHandle
from safelight.core.work import Captured, DropLatents, FetchLatents, LatentsDropped, LatentsFetched, PutLatents


class KeptLatents:
    """Latents by age: when all together take more than `limit_bytes`, the oldest are dropped.

    Latents that a job starts from count as new again when the job comes.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes: dict[LatentsHandle, int] = {}

    @property
    def total_bytes(self) -> int:
        return sum(self._bytes.values())

    def used(self, handle: LatentsHandle) -> None:
        """Note that a job is about to start from these."""
        if handle in self._bytes:
            self._bytes[handle] = self._bytes.pop(handle)

    def handle(
        self, event: FetchLatents | PutLatents | DropLatents | Captured | LatentsKept | LatentsNotKept
    ) -> list[Effect]:
        """Return what is to be done because of `event`."""
        match event:
            case FetchLatents(handle=handle):
                is_kept = handle in self._bytes
                return [SendLatents(handle=handle) if is_kept else Emit(event=LatentsFetched(handle=handle, file=None))]
            case PutLatents(handle=handle, file=file):
                return [KeepLatents(handle=handle, file=file)]
            case DropLatents(handle=handle):
                return [] if self._bytes.pop(handle, None) is None else [ForgetLatents(handle=handle)]
            case Captured(handle=handle, latents_bytes=latents_bytes):
                return [Emit(event=event), *self._keep(handle, latents_bytes)]
            case LatentsKept(handle=handle, latents_bytes=latents_bytes):
                return self._keep(handle, latents_bytes)
            case LatentsNotKept(handle=handle):
                return [] if handle in self._bytes else [Emit(event=LatentsDropped(handle=handle))]

    def _keep(self, handle: LatentsHandle, latents_bytes: int) -> list[Effect]:
        self._bytes.pop(handle, None)
        self._bytes[handle] = latents_bytes
        effects: list[Effect] = []
        while self.total_bytes > self._limit_bytes:
            oldest = next(iter(self._bytes))
            del self._bytes[oldest]
            effects += [ForgetLatents(handle=oldest), Emit(event=LatentsDropped(handle=oldest))]
        return effects
