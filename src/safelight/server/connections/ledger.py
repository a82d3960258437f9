"""Which connections are open, what each is doing, and which one is closed when there are too many."""

from collections import Counter, OrderedDict
from enum import StrEnum
from typing import Protocol

from safelight.server.connections.limits import MAX_PIPELINED, ConnectionLimits
from safelight.server.logs import Log

UPLOAD_GRACE_S = 2.0
"""How long an incomplete body is safe from being given up for another request."""

LINGER_S = 2.0
"""How long what a refused client still sends is read, so that it gets the answer; a reset would erase it."""


class State(StrEnum):
    """What a connection is doing."""

    SILENT = "silent"
    """It has sent no head of a request, or a part of one."""
    IDLE = "idle"
    """It has been answered, and has sent nothing since."""
    UPLOADING = "uploading"
    """It is sending the body of a request."""
    WORKING = "working"
    """It waits for a response, or receives it."""
    CLOSING = "closing"
    """It has been answered for the last time."""


class Connection(Protocol):
    """What the ledger needs of a connection; only the ledger sets `state`."""

    state: State

    @property
    def has_unsent(self) -> bool:
        """Whether bytes wait for the client in this process."""

    def close(self) -> None:
        """Close it when what was written has been sent."""

    def abort(self) -> None:
        """Close it now."""

    def time_out(self) -> None:
        """Close it since its header is late; with an answer, if a part of a header has come."""

    def give_up(self) -> None:
        """Answer that there are too many connections, if possible, and close it: it is busy no more."""

    def takes_no_bytes(self, now: float, within_s: float) -> bool:
        """Whether bytes have waited for the client for `within_s` and it has taken none of them."""

    def has_left(self) -> bool:
        """Whether the client has closed a connection that is not being read."""


class ConnectionLedger:
    """All open connections of a server.

    Attributes:
        cut: connections that the server has ended, by reason.
        refused: requests that were refused before anything else read them, by code of the error.
        queued: requests that wait for an earlier one of their connection.
    """

    def __init__(self, limits: ConnectionLimits, *, log: Log) -> None:
        self.limits = limits
        self.cut: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.queued = 0
        self._is_ending = False
        self.log = log
        self._since: dict[State, OrderedDict[Connection, float]] = {state: OrderedDict() for state in State}

    @property
    def open_count(self) -> int:
        """How many connections are open."""
        return sum(map(len, self._since.values()))

    @property
    def busy_count(self) -> int:
        """How many connections have requests that are not answered."""
        return len(self._since[State.UPLOADING]) + len(self._since[State.WORKING])

    @property
    def is_queue_full(self) -> bool:
        """Whether too many requests wait for an earlier one of their connection."""
        return self.queued > MAX_PIPELINED

    def opened(self, connection: Connection, now: float) -> None:
        """Add a connection, and end another one if there are too many; or this one, if all others are busy."""
        while self.open_count >= self.limits.max_connections:
            if not self._end_one(now):
                self.cut["refused"] += 1
                connection.abort()
                return
        connection.state = State.SILENT
        self._since[State.SILENT][connection] = now

    def moved(self, connection: Connection, state: State, now: float) -> None:
        """Note that a connection is in another state from now on; the last state is final."""
        since = self._since[connection.state]
        if connection in since and connection.state != State.CLOSING:
            del since[connection]
            connection.state = state
            self._since[state][connection] = now

    def lost(self, connection: Connection) -> None:
        """Forget a connection."""
        self._since[connection.state].pop(connection, None)

    def has_room(self, connection: Connection, now: float) -> bool:
        """Whether the request of a busy connection can be served; an incomplete body of another may be given up."""
        while self.busy_count > self.limits.max_busy:
            if not self._give_up_upload(now, unless=connection):
                return False
        return True

    def end(self) -> None:
        """End the connections whose requests are incomplete, from now on at each sweep: the server ends."""
        self._is_ending = True
        self._abort_uploads()

    def sweep(self, now: float) -> None:
        """End the connections whose time is over."""
        limits = self.limits
        if self._is_ending:
            self._abort_uploads()
        for connection in self._older(State.SILENT, now - limits.header_timeout_s):
            self.cut["header_timeout"] += 1
            connection.time_out()
        for connection in self._older(State.IDLE, now - limits.idle_timeout_s):
            self.cut["idle_timeout"] += 1
            connection.close()
        for connection in self._older(State.CLOSING, now - LINGER_S):
            if not connection.has_unsent:
                self._end(connection, "")
        for connections in self._since.values():
            for connection in list(connections):
                if connection.takes_no_bytes(now, limits.write_timeout_s):
                    self._end(connection, "write_timeout")
                elif connection.has_left():
                    self._end(connection, "")

    def _abort_uploads(self) -> None:
        for connection in list(self._since[State.UPLOADING]):
            self._end(connection, "")

    def _older(self, state: State, then: float) -> list[Connection]:
        older = []
        for connection, since in self._since[state].items():
            if since > then:
                break
            older.append(connection)
        return older

    def _end_one(self, now: float) -> bool:
        for state in (State.CLOSING, State.SILENT, State.IDLE):
            if self._since[state]:
                self._end(next(iter(self._since[state])), f"evicted_{state}")
                return True
        return self._give_up_upload(now)

    def _give_up_upload(self, now: float, *, unless: Connection | None = None) -> bool:
        uploads = self._since[State.UPLOADING]
        oldest = next((connection for connection in uploads if connection is not unless), None)
        if oldest is None or uploads[oldest] > now - UPLOAD_GRACE_S:
            return False
        self.cut["evicted_uploading"] += 1
        oldest.give_up()
        return True

    def _end(self, connection: Connection, reason: str) -> None:
        if reason:
            self.cut[reason] += 1
        self.lost(connection)
        connection.abort()
