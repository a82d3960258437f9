"""An HTTP client for one server, which classifies everything that can go wrong."""

import asyncio
import io
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from yarl import URL

from safelight.bench.client.connection_waits import ConnectionWait, ConnectionWaits
from safelight.bench.client.event_stream import EventStreamParser
from safelight.bench.client.responses import Response, content_encoding_of, failure_of_status, unexpected_content
from safelight.bench.errors import BadLoad
from safelight.bench.failures import CONNECTION_ERRORS, READ_ERRORS, Failure, failure_of_exception
from safelight.bench.formatting import without_credentials
from safelight.core.errors import shorten

TIMEOUT_S = 900.0
CONNECT_TIMEOUT_S = 10.0
MOST_ANSWER_BYTES = 512 << 20
MOST_AT_ONCE_BYTES = 1 << 20
"""A longer body is sent in pieces, so that other requests are sent meanwhile."""

BACKGROUND_S = 5.0
"""The longest time of work that no request waits for."""

MOST_DISCARDED_BYTES = 1 << 20
"""How much of an unwanted rest of a stream is read to keep the connection."""

clock_s = time.monotonic
"""The clock of all measurements; the clock of an event loop may count in milliseconds."""

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """The server under test, and how to connect to it.

    Attributes:
        url: base address, to which paths are appended; may contain a user and a password.
        headers: sent with every request.
        timeout_s: of a request as a whole, with its retries, or with a job and its file.
        connect_timeout_s: of establishing a connection.
        connections: limit of open connections; 0 means no limit.
        accepts_any_certificate: whether TLS certificates are not verified.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    connections: int = 0
    accepts_any_certificate: bool = False

    def __post_init__(self) -> None:
        try:
            url = URL(self.url)
            (url.host or "").encode("idna")
        except ValueError:
            url = URL()
        if url.scheme not in {"http", "https"} or not url.host or not self.url.isprintable():
            raise BadLoad(f"{shorten(self.public_url)} is no address of a server; write http://127.0.0.1:8000.")
        if "?" in self.url or "#" in self.url:
            raise BadLoad(
                f"{shorten(self.public_url)} has a ? or a #, behind which no path can be put; leave out what follows."
            )
        if url.user is not None and "authorization" in map(str.lower, self.headers):
            raise BadLoad(f"{shorten(self.public_url)} has a user, and there is an API key too; leave one out.")

    @property
    def public_url(self) -> str:
        """The address without user and password, for display and results."""
        return without_credentials(self.url)


class HttpClient:
    """Sends requests to one server over kept connections; it follows no redirects.

    Every request has an end, `until_s` by `clock_s`, at which it has failed.
    """

    def __init__(self, server: ServerConfig) -> None:
        self.server = server
        self.connection_waits = ConnectionWaits(clock_s)
        self._base = server.url.rstrip("/")
        self._urls = dict[str, URL]()
        self._background = set[asyncio.Task[None]]()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=server.connections, ssl=not server.accepts_any_certificate, ttl_dns_cache=None
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "safelight-bench", "Accept-Encoding": "identity", **server.headers},
            auto_decompress=False,
            trace_configs=[self.connection_waits.trace_config()] if server.connections else [],
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post_json(self, path: str, body: object, *, until_s: float) -> Response:
        """Send JSON and return the whole answer; raises Failure."""
        return await self.exchange("POST", path, data=msgspec.json.encode(body), headers=JSON, until_s=until_s)

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        data: bytes | aiohttp.FormData | None = None,
        headers: Mapping[str, str] = {},
        until_s: float,
    ) -> Response:
        """Send a request and return the whole answer.

        Raises:
            Failure: unless a whole answer with status 200 arrives in time.
        """
        answer = await self._start(method, path, data, headers, until_s)
        try:
            content = await self._content(answer)
            return Response(content=content, done_s=clock_s(), headers=answer.headers)
        finally:
            answer.release()

    async def events(self, path: str, body: object, *, until_s: float) -> AsyncGenerator[tuple[float, bytes]]:
        """Send JSON and yield the arrival time and the data of each server-sent event.

        If the caller stops early, the rest of the stream is read in the background, so that the connection is kept.

        Raises:
            Failure: unless a stream of events starts, and ends, in time.
        """
        answer = await self._start("POST", path, msgspec.json.encode(body), JSON, until_s)
        try:
            await self._check_streamed(answer)
            parser = EventStreamParser(most_bytes=MOST_ANSWER_BYTES)
            while piece := await self._piece(answer):
                now_s = clock_s()
                for data in parser.feed(piece):
                    yield now_s, data
        except GeneratorExit:
            if not answer.closed:
                self.run_in_background(_discard_rest(answer))
            raise
        except BaseException:
            answer.release()
            raise
        answer.release()

    def run_in_background(self, work: Coroutine[object, object, None]) -> None:
        """Start work that no request waits for; `finish_background` waits for it."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def finish_background(self, *, longest_s: float) -> None:
        """Wait for background work, and cancel what takes longer."""
        try:
            if self._background:
                await asyncio.wait(self._background, timeout=longest_s)
        finally:
            for task in self._background:
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)

    async def _start(
        self, method: str, path: str, data: bytes | aiohttp.FormData | None, headers: Mapping[str, str], until_s: float
    ) -> aiohttp.ClientResponse:
        """Send a request and return its answer, with status 200, once the headers are there."""
        body = io.BytesIO(data) if isinstance(data, bytes) and len(data) > MOST_AT_ONCE_BYTES else data
        wait = ConnectionWait() if self.server.connections else None
        left_s = until_s - clock_s()
        try:
            if left_s <= 0:
                raise TimeoutError
            answer = await self._session.request(
                method,
                self._url(path),
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=left_s, sock_connect=self.server.connect_timeout_s),
                trace_request_ctx=wait,
            )
        except CONNECTION_ERRORS as error:
            raise self._failure_without_answer(error, wait) from error
        if answer.status != 200:
            raise failure_of_status(answer.status, answer.headers, await self._error_content(answer))
        if encoding := content_encoding_of(answer.headers):
            answer.release()
            raise Failure("packed", f"status 200: the answer is packed as {encoding}, though identity was asked for")
        return answer

    async def _error_content(self, answer: aiohttp.ClientResponse) -> bytes:
        """Return the body of an error; nothing if the body does not end, since the status says enough."""
        try:
            async with asyncio.timeout(BACKGROUND_S):
                return await self._content(answer)
        except (Failure, TimeoutError):
            return b""
        finally:
            answer.release()

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = URL(self._base + path)
            if len(self._urls) < 100:
                self._urls[path] = url
        return url

    def _failure_without_answer(self, error: Exception, wait: ConnectionWait | None) -> Failure:
        """Distinguish a server that does not answer from a client that had no free connection, or not for long."""
        failure = failure_of_exception(error, self.server.timeout_s)
        if wait is None or failure.kind != "timeout":
            return failure
        if wait.since_s is not None:
            self.connection_waits.end(wait)
            return Failure("client_limit", f"all --connections were in use for {wait.lasted_s:.3g} s")
        if wait.lasted_s:
            return Failure("timeout", f"{failure.message}, after a wait of {wait.lasted_s:.3g} s for a connection")
        return failure

    async def _check_streamed(self, answer: aiohttp.ClientResponse) -> None:
        if answer.content_type != "text/event-stream":
            raise unexpected_content(await self._content(answer), "server-sent events", answer.content_type)

    async def _content(self, answer: aiohttp.ClientResponse) -> bytes:
        length = answer.content_length
        if length is not None and length > MOST_ANSWER_BYTES:
            answer.close()
            raise Failure("too_large", f"the answer has {length:,} bytes")
        if length is not None:
            try:
                return await answer.read()
            except READ_ERRORS as error:
                raise self._failure_while_reading(error) from error
        found = bytearray()
        while piece := await self._piece(answer):
            found += piece
            if len(found) > MOST_ANSWER_BYTES:
                answer.close()
                raise Failure("too_large", f"the answer has more than {MOST_ANSWER_BYTES >> 20} MiB")
        return bytes(found)

    async def _piece(self, answer: aiohttp.ClientResponse) -> bytes:
        """Return the next bytes of an answer, or no bytes at its end."""
        try:
            return await answer.content.readany()
        except READ_ERRORS as error:
            raise self._failure_while_reading(error) from error

    def _failure_while_reading(self, error: Exception) -> Failure:
        """Distinguish an answer that is too slow from one that never starts."""
        failure, timeout_s = failure_of_exception(error, self.server.timeout_s), self.server.timeout_s
        if failure.kind != "timeout":
            return failure
        return Failure("slow_body", f"the answer began, and was not whole within {timeout_s:g} s")


async def _discard_rest(answer: aiohttp.ClientResponse) -> None:
    """Read the rest of an answer, if it is short."""
    left = MOST_DISCARDED_BYTES
    try:
        with suppress(*READ_ERRORS):
            async with asyncio.timeout(BACKGROUND_S):
                while left > 0 and (piece := await answer.content.readany()):
                    left -= len(piece)
    finally:
        answer.release()
