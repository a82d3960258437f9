"""The line to a server: HTTP exchanges with everything that can go wrong told by its kind."""

import email.utils
import io
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec
from yarl import URL

from safelight.bench.errors import BadLoad
from safelight.bench.failures import Failure, told_as_failure
from safelight.bench.spoken import public
from safelight.core.errors import shorten

TIMEOUT_S = 900.0
CONNECT_TIMEOUT_S = 10.0
MOST_ANSWER_BYTES = 512 << 20
SAID_CHARACTERS = 300
MOST_AT_ONCE_BYTES = 1 << 20
"""A longer body is sent in pieces, so that others are sent meanwhile."""

Body = TypeVar("Body", bound=msgspec.Struct)

clock_s = time.monotonic
"""The clock of all measurements; an event loop's own may count in milliseconds."""

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where requests go, and how.

    Attributes:
        url: what paths are put behind.
        headers: of every request.
        timeout_s: longest time from sending to the last byte.
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
        except ValueError:
            url = URL()
        if url.scheme not in {"http", "https"} or not url.host:
            raise BadLoad(f"{shorten(self.public_url)} is no address of a server; write http://127.0.0.1:8000.")

    @property
    def public_url(self) -> str:
        """The address without user and password, to be shown and kept."""
        return public(self.url)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer whose status is 200: its bytes, and when the last one came."""

    content: bytes
    done_s: float
    headers: Mapping[str, str]


class Line:
    """Sends requests to one server, over kept connections, without following it elsewhere."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._base = server.url.rstrip("/")
        self._urls = dict[str, URL]()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=server.connections, ssl=not server.is_trusted, ttl_dns_cache=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "safelight-bench", **server.headers},
            timeout=aiohttp.ClientTimeout(total=server.timeout_s, sock_connect=server.connect_timeout_s),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post_json(self, path: str, body: object) -> Reply:
        """Send JSON; raises Failure."""
        return await self.exchange("POST", path, data=msgspec.json.encode(body), headers=JSON)

    async def exchange(
        self, method: str, path: str, *, data: bytes | aiohttp.FormData | None = None, headers: Mapping[str, str] = {}
    ) -> Reply:
        """Send a request and wait for all of its answer.

        Raises:
            Failure: unless a whole answer of status 200 comes in time.
        """
        async with self._answer(method, path, data, headers) as answer:
            content = await self._content(answer)
            return Reply(content=content, done_s=clock_s(), headers=answer.headers)

    async def events(self, path: str, body: object) -> AsyncGenerator[tuple[float, bytes]]:
        """Send JSON and give the data of each server-sent event, and when it came.

        Raises:
            Failure: unless a stream of events comes, and ends, in time.
        """
        async with self._answer("POST", path, msgspec.json.encode(body), JSON) as answer:
            if answer.content_type != "text/event-stream":
                raise _not_as_told(await self._content(answer), "server-sent events", answer.content_type)
            rest = b""
            async for piece in _pieces(answer, self.server.timeout_s):
                *whole, rest = (rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
                if len(rest) > MOST_ANSWER_BYTES:
                    raise Failure("too_large", f"an event has more than {MOST_ANSWER_BYTES >> 20} MiB")
                now_s = clock_s()
                for event in whole:
                    if data := b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")):
                        yield now_s, data

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, data: bytes | aiohttp.FormData | None, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self._urls.get(path)
        if url is None:
            url = URL(self._base + path)
            if len(self._urls) < 100:
                self._urls[path] = url
        body = io.BytesIO(data) if isinstance(data, bytes) and len(data) > MOST_AT_ONCE_BYTES else data
        with told_as_failure(self.server.timeout_s):
            answer = await self._session.request(method, url, data=body, headers=headers, allow_redirects=False)
        try:
            if answer.status != 200:
                raise _failure_of(answer, await self._content(answer))
            yield answer
        finally:
            answer.release()

    async def _content(self, answer: aiohttp.ClientResponse) -> bytes:
        length = answer.content_length
        if length is not None and length > MOST_ANSWER_BYTES:
            answer.close()
            raise Failure("too_large", f"the answer has {length:,} bytes")
        if length is not None:
            with _told_as_slow(self.server.timeout_s), told_as_failure(self.server.timeout_s):
                return await answer.read()
        found = bytearray()
        async for piece in _pieces(answer, self.server.timeout_s):
            found += piece
            if len(found) > MOST_ANSWER_BYTES:
                answer.close()
                raise Failure("too_large", f"the answer has more than {MOST_ANSWER_BYTES >> 20} MiB")
        return bytes(found)


class _told_as_slow:  # noqa: N801 - used like a function
    """Tell an answer that is too slow from one that never begins."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Failure) and error.kind == "timeout":
            raise Failure("slow_body", f"the answer began, and was not whole within {self._timeout_s:g} s")


async def _pieces(answer: aiohttp.ClientResponse, timeout_s: float) -> AsyncIterator[bytes]:
    pieces = answer.content.iter_any()
    while True:
        with _told_as_slow(timeout_s), told_as_failure(timeout_s):
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
        yield piece


class _Said(msgspec.Struct):
    """An error as servers of this kind tell it."""

    error: object = None
    detail: object = None
    message: object = None


def said_in(content: bytes) -> str:
    """Return what an answer says went wrong, short."""
    try:
        said = msgspec.json.decode(content, type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = _Said()
    found = said.error or said.detail or said.message
    if isinstance(found, dict):
        found = found.get("message", found)
    text = str(found) if found else content[: 4 * SAID_CHARACTERS].decode(errors="replace").strip()
    return text[:SAID_CHARACTERS] or "(no body)"


def _failure_of(answer: aiohttp.ClientResponse, content: bytes) -> Failure:
    status = answer.status
    if 300 <= status < 400:
        there = answer.headers.get("Location", "nowhere")
        return Failure("redirected", f"status {status}, to {shorten(there, limit=200)}; name that with --base-url")
    said = f"status {status}: {said_in(content)}"
    match status:
        case 429:
            return Failure("rejected", said, retry_after_s=_retry_after_s(answer.headers))
        case 502 | 503 | 504:
            return Failure("unavailable", said, retry_after_s=_retry_after_s(answer.headers))
        case _ if 400 <= status < 500:
            return Failure("refused_request", said)
        case _ if status >= 500:
            return Failure("server_error", said)
    return Failure("bad_status", said)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return what `Retry-After` says, in seconds or as a date."""
    said = headers.get("Retry-After")
    if said is None:
        return None
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return None


def decoded(reply: Reply, into: type[Body]) -> Body:
    """Return an answer's JSON.

    Raises:
        Failure: if it is none, or none of this type, or tells of an error in spite of its status.
    """
    try:
        return msgspec.json.decode(reply.content, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_as_told(reply.content, "JSON of this endpoint", reply.headers.get("Content-Type"), error) from None


def _not_as_told(content: bytes, wanted: str, kind: str | None, problem: Exception | None = None) -> Failure:
    start = content[:SAID_CHARACTERS].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")) or (kind or "").startswith("text/html"):
        return Failure("html", f"a page of HTML came in place of {wanted}: {shorten(start.decode(errors='replace'))}")
    if _tells_of_an_error(content):
        return Failure("error_body", f"status 200: {said_in(content)}")
    why = f" ({problem})" if problem else ""
    return Failure("not_json", f"{kind or 'something without a type'} came in place of {wanted}{why}")


def _tells_of_an_error(content: bytes) -> bool:
    try:
        said = msgspec.json.decode(content, type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return bool(said.error or said.detail)


def no_picture(reply: Reply, what: str = "picture") -> Failure:
    """Return how an answer that holds nothing failed."""
    if _tells_of_an_error(reply.content):
        return Failure("error_body", f"status 200: {said_in(reply.content)}")
    return Failure("no_picture", f"the answer holds no {what}: {shorten(reply.content[:SAID_CHARACTERS])}")
