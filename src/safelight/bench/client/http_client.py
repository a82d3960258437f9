"""The line to a server: HTTP exchanges with everything that can go wrong told by its kind."""

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
"""A longer body is sent in pieces, so that others are sent meanwhile."""

LATER_S = 5.0
"""What no request waits for may take so long."""

MOST_REST_BYTES = 1 << 20
"""So much is read of what nobody wants, to keep the connection."""

clock_s = time.monotonic
"""The clock of all measurements; an event loop's own may count in milliseconds."""

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where requests go, and how.

    Attributes:
        url: what paths are put behind; may have a user and a password.
        headers: of every request.
        timeout_s: longest time of a request, with all that it takes: retries, or a job and its file.
        connect_timeout_s: longest time until there is a connection.
        connections: how many there may be at once; 0 is any number.
        is_trusted: take any certificate.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    connections: int = 0
    is_trusted: bool = False

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
        """The address without user and password, to be shown and kept."""
        return without_credentials(self.url)


class HttpClient:
    """Sends requests to one server, over kept connections, without following it elsewhere.

    All that is sent has an end by `clock_s`, `until_s`, at which it has failed.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connection_waits = ConnectionWaits(clock_s)
        self._base = server.url.rstrip("/")
        self._urls = dict[str, URL]()
        self._later = set[asyncio.Task[None]]()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=server.connections, ssl=not server.is_trusted, ttl_dns_cache=None),
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
        """Send JSON; raises Failure."""
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
        """Send a request and wait for all of its answer.

        Raises:
            Failure: unless a whole answer of status 200 comes in time.
        """
        answer = await self._begun(method, path, data, headers, until_s)
        try:
            content = await self._content(answer)
            return Response(content=content, done_s=clock_s(), headers=answer.headers)
        finally:
            answer.release()

    async def events(self, path: str, body: object, *, until_s: float) -> AsyncGenerator[tuple[float, bytes]]:
        """Send JSON and give the data of each server-sent event, and when it came.

        When no more are wanted, the stream is read to its end, which nobody waits for, so that the connection is kept.

        Raises:
            Failure: unless a stream of events comes, and ends, in time.
        """
        answer = await self._begun("POST", path, msgspec.json.encode(body), JSON, until_s)
        try:
            await self._check_streamed(answer)
            events = EventStreamParser(most_bytes=MOST_ANSWER_BYTES)
            while piece := await self._piece(answer):
                now_s = clock_s()
                for data in events.put(piece):
                    yield now_s, data
        except GeneratorExit:
            if not answer.closed:
                self.later(_read_on(answer))
            raise
        except BaseException:
            answer.release()
            raise
        answer.release()

    def later(self, work: Coroutine[object, object, None]) -> None:
        """Have something done that no request waits for; `settle` does."""
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def settle(self, *, longest_s: float) -> None:
        """Wait for what no request waited for, and end what is not done by then."""
        try:
            if self._later:
                await asyncio.wait(self._later, timeout=longest_s)
        finally:
            for task in self._later:
                task.cancel()
            await asyncio.gather(*self._later, return_exceptions=True)

    async def _begun(
        self, method: str, path: str, data: bytes | aiohttp.FormData | None, headers: Mapping[str, str], until_s: float
    ) -> aiohttp.ClientResponse:
        """Send a request and return its answer once that has begun, if its status is 200."""
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
            raise self._unanswered(error, wait) from error
        if answer.status != 200:
            raise failure_of_status(answer.status, answer.headers, await self._said(answer))
        if packing := content_encoding_of(answer.headers):
            answer.release()
            raise Failure("packed", f"status 200: the answer is packed as {packing}, though identity was asked for")
        return answer

    async def _said(self, answer: aiohttp.ClientResponse) -> bytes:
        """Return what an answer says that is no success; one that does not end has said enough by its status."""
        try:
            async with asyncio.timeout(LATER_S):
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

    def _unanswered(self, error: Exception, wait: ConnectionWait | None) -> Failure:
        """Tell a server that does not answer from a client that has no connection, or had none for long."""
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
                raise self._cut_short(error) from error
        found = bytearray()
        while piece := await self._piece(answer):
            found += piece
            if len(found) > MOST_ANSWER_BYTES:
                answer.close()
                raise Failure("too_large", f"the answer has more than {MOST_ANSWER_BYTES >> 20} MiB")
        return bytes(found)

    async def _piece(self, answer: aiohttp.ClientResponse) -> bytes:
        """Return what has come of an answer, and nothing at its end."""
        try:
            return await answer.content.readany()
        except READ_ERRORS as error:
            raise self._cut_short(error) from error

    def _cut_short(self, error: Exception) -> Failure:
        """Tell an answer that is too slow from one that never begins."""
        failure, timeout_s = failure_of_exception(error, self.server.timeout_s), self.server.timeout_s
        if failure.kind != "timeout":
            return failure
        return Failure("slow_body", f"the answer began, and was not whole within {timeout_s:g} s")


async def _read_on(answer: aiohttp.ClientResponse) -> None:
    """Read what nobody wants to its end, if that is near."""
    left = MOST_REST_BYTES
    try:
        with suppress(*READ_ERRORS):
            async with asyncio.timeout(LATER_S):
                while left > 0 and (piece := await answer.content.readany()):
                    left -= len(piece)
    finally:
        answer.release()
