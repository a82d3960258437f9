"""One connection: the HTTP protocol of the server behind a guard of time, bytes and numbers."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from safelight.server.connections.ledger import ConnectionLedger, State
from safelight.server.connections.request_head import malformed
from safelight.server.connections.sweeping import Sweeper
from safelight.server.connections.transport import GuardedTransport
from safelight.server.connections.watcher import RefusedBytes, RequestWatcher
from safelight.server.errors import Problem, retry_after

CONNECTION = "safelight.connection"
"""Under this key of a scope's state an application finds the connection of its request."""

FULL = Problem(
    status=503,
    message="The server has as many connections as it can keep.",
    type="server_error",
    code="too_many_connections",
    headers={"Connection": "close", **retry_after(1)},
)

_HEALTH_TARGETS = frozenset({b"/health", b"/health/live", b"/health/ready"})

_REASONS = {
    400: "Bad Request",
    405: "Method Not Allowed",
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

_LATE = malformed("The request's header did not arrive in time.", "header_too_slow", 408)


class GuardedConnection(asyncio.Protocol):
    """A connection that passes bytes on to `protocol`, as long as they are within the limits of the ledger.

    Attributes:
        state: set by the ledger.
        left: set once the client can receive nothing more.
        has_response_begun: whether a part of the current response has been sent.
    """

    def __init__(
        self,
        make_protocol: Callable[["GuardedConnection"], asyncio.Protocol],
        *,
        ledger: ConnectionLedger,
        sweeper: Sweeper,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.state = State.SILENT
        self.left = asyncio.Event()
        self.has_response_begun = False
        self._owed = 0
        self._is_deaf = False
        self._ledger = ledger
        self._sweeper = sweeper
        self._now = loop.time
        self._watcher = RequestWatcher(max_header_bytes=ledger.limits.max_header_bytes)
        self._protocol = make_protocol(self)
        self._transport: asyncio.Transport
        self._guarded: GuardedTransport

    @property
    def is_last(self) -> bool:
        """Whether the connection must end with the current response."""
        return self._watcher.is_last

    # The interface of a protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._guarded = GuardedTransport(self._transport, on_close=self.close)
        self._protocol.connection_made(self._guarded)
        self._ledger.opened(self, self._now())
        self._sweeper.watch()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on that are within the limits."""
        if self._is_deaf:
            return
        heads = self._watcher.heads
        try:
            self._watcher.feed(data)
        except RefusedBytes as refusal:
            self._refuse(refusal.problem)
            return
        if not self._note_heads(self._watcher.heads - heads):
            return
        self._protocol.data_received(data)
        if self._watcher.is_last:
            self._is_deaf = True

    def eof_received(self) -> bool | None:
        """Treat a client that sends nothing more as one that has left."""
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._owed > 1:
            self._ledger.log.debug("client left", requests_unanswered=self._owed)
        self._end()
        self._ledger.lost(self)
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Write nothing for now."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Write again."""
        self._protocol.resume_writing()

    # What the application says.

    def listen(self) -> None:
        """Receive, so that a client that leaves is noticed."""
        if self._owed == 1 and not self._is_deaf:
            self._guarded.resume_reading()

    def answered(self) -> None:
        """Note that the current request has its whole response."""
        self.has_response_begun = False
        if not self._owed:
            return
        self._owed -= 1
        if self._owed <= 1:
            self._guarded.resume_reading()
        if self._owed:
            self._ledger.queued -= 1
            return
        is_between = self._watcher.is_in_head and not self._watcher.has_begun
        self._ledger.moved(self, State.IDLE if is_between else State.SILENT, self._now())

    # What the ledger asks.

    def close(self) -> None:
        """Close the connection when what was written has been sent."""
        if self._transport.is_closing() or self._guarded.is_closing():
            return
        if self._watcher.is_in_head:
            self._ledger.moved(self, State.CLOSING, self._now())
            self._transport.close()
        else:
            self._linger()

    def abort(self) -> None:
        """Close the connection now."""
        self._end()
        self._ledger.lost(self)
        self._transport.abort()

    def time_out(self) -> None:
        """Close the connection since its header is late."""
        if self._watcher.has_begun:
            self._refuse(_LATE)
        else:
            self.close()

    def give_up(self) -> None:
        """Answer that there are too many connections, if possible, and close."""
        self._refuse(FULL)

    @property
    def has_unsent(self) -> bool:
        """Whether bytes wait for the client in this process."""
        return self._guarded.get_write_buffer_size() > 0

    def takes_no_bytes(self, now: float, within_s: float) -> bool:
        """Whether bytes have waited for the client for `within_s` and it has taken none of them."""
        return self._guarded.takes_no_bytes(now, within_s)

    def has_left(self) -> bool:
        """Whether the client has closed a connection that is not being read."""
        return self._owed > 0 and not self._guarded.is_reading() and self._guarded.peer_has_closed()

    def _note_heads(self, count: int) -> bool:
        """Note new requests; whether they may be passed on."""
        watcher = self._watcher
        if count:
            self._ledger.queued += count if self._owed else count - 1
            self._owed += count
            self._ledger.moved(self, State.WORKING if watcher.is_in_head else State.UPLOADING, self._now())
            is_first = self._owed == count and watcher.target not in _HEALTH_TARGETS
            if self._ledger.is_queue_full or (is_first and not self._ledger.has_room(self, self._now())):
                self._refuse(FULL)
                return False
            if self._owed > 1:
                self._guarded.pause_reading()
        elif self.state == State.UPLOADING and watcher.is_in_head:
            self._ledger.moved(self, State.WORKING, self._now())
        elif self.state == State.IDLE and watcher.has_begun:
            self._ledger.moved(self, State.SILENT, self._now())
        return True

    def _refuse(self, problem: Problem) -> None:
        """Answer with `problem`, unless a response has begun, and close."""
        self._ledger.refused[problem.code] += 1
        self._ledger.log.debug("connection refused", code=problem.code)
        if self.has_response_begun or self._guarded.is_closing():
            self.abort()
            return
        self._guarded.write(_response(problem))
        self._linger()

    def _linger(self) -> None:
        """Send what was written, and let the client end what it is sending."""
        self._end()
        self._ledger.moved(self, State.CLOSING, self._now())
        self._guarded.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _end(self) -> None:
        """Pass nothing on any more, in either direction."""
        self._is_deaf = True
        self._guarded.mute()
        self._ledger.queued -= max(0, self._owed - 1)
        self._owed = 0
        self.left.set()


def connection_factory(ledger: ConnectionLedger) -> Callable[..., asyncio.Protocol]:
    """Return what makes the protocol of each connection, for `uvicorn.Config(http=...)`."""
    sweeper = Sweeper(ledger)

    def make(
        config: Config,
        server_state: ServerState,
        app_state: Mapping[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        def make_protocol(connection: GuardedConnection) -> asyncio.Protocol:
            make_http: Callable[..., asyncio.Protocol] = AutoHTTPProtocol
            return make_http(
                config=config, server_state=server_state, app_state={**app_state, CONNECTION: connection}, _loop=_loop
            )

        loop = _loop or asyncio.get_running_loop()
        return GuardedConnection(make_protocol, ledger=ledger, sweeper=sweeper, loop=loop)

    return make


def _response(problem: Problem) -> bytes:
    """Return a whole response with `problem`, which ends the connection."""
    body = msgspec.json.encode(problem.document)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-content-type-options": "nosniff",
        **problem.headers,
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {problem.status} {_REASONS[problem.status]}", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + body
