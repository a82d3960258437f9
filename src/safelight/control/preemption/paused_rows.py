"""The latents of paused rows that the controller holds."""

from typing import Final

from safelight.control.request_state import RequestState

BYTES_PER_PIXEL: Final = 4.0
"""Assumed of a model until a row of it has come: two tensors of 16 channels of 32 bits for 8 x 8 pixels, doubled."""


class PausedRows:
    """Counts the bytes of paused rows; those on their way count as much as they are expected to have."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes: dict[str, int] = {}
        self._coming: dict[str, int] = {}
        self._bytes_per_pixel: dict[str, float] = {}
        self.total_bytes = 0

    @property
    def free_bytes(self) -> int:
        """How many more bytes may be held."""
        return self._limit_bytes - self.total_bytes - sum(self._coming.values())

    def expected_bytes(self, request: RequestState) -> int:
        """Return how many bytes the row of a request has, by the largest of its model so far."""
        _, width, height = request.job.kind
        return round(width * height * self._bytes_per_pixel.get(request.model, BYTES_PER_PIXEL))

    def expect(self, request: RequestState) -> None:
        """Note that a row may come; one that has not begun yet may do so before it stops."""
        self._coming[request.id] = self.expected_bytes(request)

    def note(self, request: RequestState) -> None:
        """Note what is held of a request now."""
        self._coming.pop(request.id, None)
        row = request.job.paused
        self._hold(request.id, 0 if row is None else len(row.file))
        if row is not None:
            _, width, height = request.job.kind
            known = self._bytes_per_pixel.get(request.model, 0.0)
            self._bytes_per_pixel[request.model] = max(known, len(row.file) / (width * height))

    def forget(self, request: RequestState) -> None:
        """Note that a request has ended."""
        self._coming.pop(request.id, None)
        self._hold(request.id, 0)

    def _hold(self, request_id: str, size: int) -> None:
        self.total_bytes += size - self._bytes.pop(request_id, 0)
        if size:
            self._bytes[request_id] = size
