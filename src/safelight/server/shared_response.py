"""A response body in progress, for which several clients may wait."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping


class SharedResponse:
    """Chunks of a response body with its headers, made once and read by any number of clients, including late ones.

    If the last reader leaves before the end, the work is cancelled, unless `outlives_readers`. `on_end` is called once,
    after the last chunk.
    """

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        *,
        headers: Mapping[str, str],
        outlives_readers: bool = False,
        on_end: Callable[["SharedResponse"], None] = lambda _: None,
    ) -> None:
        self.headers = headers
        self._chunks: list[bytes] = []
        self._error: Exception | None = None
        self._is_over = False
        self._is_whole = False
        self._is_abandoned = False
        self._readers = 0
        self._outlives_readers = outlives_readers
        self._news = asyncio.Event()
        self._on_end = on_end
        self._making = asyncio.create_task(self._make(chunks))

    @property
    def bytes_held(self) -> int:
        """Bytes of the chunks made so far."""
        return sum(map(len, self._chunks))

    @property
    def is_over(self) -> bool:
        """Whether there are no further chunks."""
        return self._is_over

    @property
    def is_whole(self) -> bool:
        """Whether it is complete; a failed or cancelled one never is."""
        return self._is_whole

    @property
    def is_abandoned(self) -> bool:
        """Whether its work is cancelled, since its last reader has left."""
        return self._is_abandoned

    async def read(self) -> AsyncIterator[bytes]:
        """Yield every chunk from the first one on; raises the error of the work."""
        self._readers += 1
        try:
            read = 0
            while True:
                news = self._news
                while read < len(self._chunks):
                    read += 1
                    yield self._chunks[read - 1]
                if self._is_over:
                    break
                await news.wait()
            if self._error is not None:
                raise self._error
        finally:
            self._leave()

    async def whole(self, *, unless: asyncio.Future[None] | None = None) -> bytes:
        """Return all chunks as one, or nothing if `unless` is done first; raises the error of the work."""
        self._readers += 1
        try:
            awaited = {self._making} if unless is None else {self._making, unless}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leave()
        if self._error is not None:
            raise self._error
        return b"".join(self._chunks) if self._is_over else b""

    def _leave(self) -> None:
        self._readers -= 1
        if self._readers == 0 and not self._is_over and not self._outlives_readers:
            self._is_abandoned = True
            self._making.cancel()

    async def _make(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in chunks:
                self._chunks.append(chunk)
                self._wake_readers()
            self._is_whole = True
        except Exception as error:  # noqa: BLE001 - it is raised again to every reader
            self._error = error
        finally:
            self._is_over = True
            self._on_end(self)
            self._wake_readers()

    def _wake_readers(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
