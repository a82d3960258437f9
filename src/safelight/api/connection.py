"""HTTP exchanges with a server, blocking and asynchronous; what goes wrong becomes an error of this package."""

import uuid
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import contextmanager

import httpx2

from safelight.api.errors import ConnectionLost, NotSafelight, ServerTimeout, ServerUnreachable
from safelight.api.wire import Event, event_in, failure_of
from safelight.core.errors import WorkFailed

Body = Mapping[str, object]
"""A JSON object."""

TIMEOUT_S = 600.0
CONNECT_TIMEOUT_S = 5.0
ATTEMPTS = 2
"""How often a request is sent whose connection is lost."""


class Connection:
    """Blocking exchanges with the server at `url`; several threads may use one.

    Attributes:
        url: the server's address, without a path.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout = httpx2.Timeout(timeout_s, connect=connect_timeout_s)
        self._http = httpx2.Client(headers=_authorization(api_key), timeout=self._timeout)

    def request(self, method: str, path: str, body: Body | None = None, *, key: str | None = None) -> bytes:
        """Send one request; returns the content of a successful answer.

        `key` is an Idempotency-Key. A request with a key is sent again when the connection is lost, and the server does
        the work once.

        Raises:
            ServerError: if the server cannot be reached, or refuses.
            WorkFailed: if it gives up the work.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with _told_failures(self.url, self._timeout):
                    response = self._http.request(method, f"{self.url}{path}", json=body, headers=_idempotency(key))
                break
            except ConnectionLost:
                if key is None or attempt == ATTEMPTS:
                    raise
        if not response.is_success:
            raise failure_of(response.status_code, response.headers, response.content)
        return response.content

    def events(self, path: str, body: Body) -> Generator[Event, None, None]:
        """Send one request for a stream; yields its events up to the one with the picture.

        Raises:
            ServerError: if the server cannot be reached, or refuses.
            WorkFailed: if it gives up the picture, or the stream ends before the picture.
        """
        with (
            _told_failures(self.url, self._timeout),
            self._http.stream("POST", f"{self.url}{path}", json=body) as response,
        ):
            if not response.is_success:
                raise failure_of(response.status_code, response.headers, response.read())
            for line in response.iter_lines():
                event = event_in(line, url=self.url)
                if event is not None:
                    yield event
                    if event.safelight is not None:
                        return
        raise _hung_up(self.url)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()


class AsyncConnection:
    """The same as `Connection`, for one event loop."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout = httpx2.Timeout(timeout_s, connect=connect_timeout_s)
        self._http = httpx2.AsyncClient(headers=_authorization(api_key), timeout=self._timeout)

    async def request(self, method: str, path: str, body: Body | None = None, *, key: str | None = None) -> bytes:
        """Do what `Connection.request` does."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with _told_failures(self.url, self._timeout):
                    response = await self._http.request(
                        method, f"{self.url}{path}", json=body, headers=_idempotency(key)
                    )
                break
            except ConnectionLost:
                if key is None or attempt == ATTEMPTS:
                    raise
        if not response.is_success:
            raise failure_of(response.status_code, response.headers, response.content)
        return response.content

    async def events(self, path: str, body: Body) -> AsyncGenerator[Event, None]:
        """Do what `Connection.events` does."""
        with _told_failures(self.url, self._timeout):
            async with self._http.stream("POST", f"{self.url}{path}", json=body) as response:
                if not response.is_success:
                    raise failure_of(response.status_code, response.headers, await response.aread())
                async for line in response.aiter_lines():
                    event = event_in(line, url=self.url)
                    if event is not None:
                        yield event
                        if event.safelight is not None:
                            return
        raise _hung_up(self.url)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()


def new_key() -> str:
    """Return an Idempotency-Key that no other request has."""
    return uuid.uuid4().hex


def _authorization(api_key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def _idempotency(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key} if key else {}


@contextmanager
def _told_failures(url: str, timeout: httpx2.Timeout) -> Iterator[None]:
    """Raise errors of this package in the place of those of the HTTP library."""
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        raise ServerUnreachable(url, str(error) or type(error).__name__) from None
    except httpx2.TimeoutException:
        raise ServerTimeout(url, timeout.read or 0.0) from None
    except httpx2.DecodingError:
        raise NotSafelight(url) from None
    except httpx2.TransportError as error:
        raise ConnectionLost(url, str(error) or type(error).__name__) from None


def _hung_up(url: str) -> WorkFailed:
    return WorkFailed(f"The server at {url} hung up before the picture was ready.", reason="hung_up")
