"""The latents of paused rows that the controller holds."""

from safelight.control.request_state import RequestState


class PausedRows:
    """Counts the bytes of paused rows, those on their way included, which count like the largest so far."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes: dict[str, int] = {}
        self._coming: set[str] = set()
        self.row_bytes = 0
        self.total_bytes = 0

    @property
    def free_bytes(self) -> int:
        """How many more bytes may be held."""
        return self._limit_bytes - self.total_bytes - len(self._coming) * self.row_bytes

    def expect(self, request: RequestState) -> None:
        """Note that a row will come."""
        self._coming.add(request.id)

    def note(self, request: RequestState) -> None:
        """Note what is held of a request now."""
        self._coming.discard(request.id)
        row = request.job.paused
        self._hold(request.id, 0 if row is None else len(row.file))

    def forget(self, request: RequestState) -> None:
        """Note that a request has ended."""
        self._coming.discard(request.id)
        self._hold(request.id, 0)

    def _hold(self, request_id: str, size: int) -> None:
        self.total_bytes += size - self._bytes.pop(request_id, 0)
        if size:
            self._bytes[request_id] = size
            self.row_bytes = max(self.row_bytes, size)
