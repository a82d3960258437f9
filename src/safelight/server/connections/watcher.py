"""Follows the requests on one connection by the parser that the server uses, and refuses what is out of bounds.

The server's own protocol sees only bytes that have passed here. It has no bound on a header's bytes or fields, nor on
what frames a chunked body (extensions, trailers).
"""

import httptools

from safelight.server.connections.limits import MAX_HEADERS
from safelight.server.connections.request_head import NOT_HTTP, Header, check_head, malformed
from safelight.server.errors import Problem

_FIELD_OVERHEAD = len(b": \r\n")


class RefusedBytes(Exception):
    """What a client has sent is refused; the connection can have no further request."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class RequestWatcher:
    """What the bytes of one connection have shown so far.

    Attributes:
        heads: complete heads of requests so far.
        target: of the last complete head.
        is_in_head: whether the next byte belongs to the head of a request, or begins one.
        is_last: whether the last request wants another protocol, so that no further request can follow.
    """

    def __init__(self, *, max_header_bytes: int) -> None:
        self.heads = 0
        self.target = b""
        self.is_in_head = True
        self.is_last = False
        self._max_header_bytes = max_header_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._problem: Problem | None = None
        self._target = b""
        self._headers: list[Header] = []
        self._trailers = 0
        self._head_bytes = 0
        self._body_bytes = 0
        self._framing_bytes = 0
        self._ends = 0

    @property
    def has_begun(self) -> bool:
        """Whether a part of a head has come, and not the whole."""
        return self.is_in_head and self._head_bytes > 0

    def feed(self, data: bytes) -> None:
        """Follow further bytes; raises RefusedBytes."""
        was_in_head, heads, ends, body_bytes = self.is_in_head, self.heads, self._ends, self._body_bytes
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.is_last = True
        except httptools.HttpParserError as error:
            raise RefusedBytes(self._problem or malformed(f"{NOT_HTTP}: {error}.", "bad_http")) from error
        if self._problem is None and heads == self.heads and ends == self._ends:
            # The whole of `data` belongs to one head or to one body.
            if was_in_head:
                self._count_head(len(data))
            else:
                self._count_framing(len(data) - (self._body_bytes - body_bytes))
        if self._problem is not None:
            raise RefusedBytes(self._problem)

    def _count_head(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > self._max_header_bytes:
            self._problem = self._too_long()

    def _count_framing(self, count: int) -> None:
        self._framing_bytes += count
        if self._framing_bytes > self._max_header_bytes + self._body_bytes:
            self._problem = malformed(
                "The chunks of the body have more framing than content.", "body_framing_too_large"
            )

    def _too_long(self) -> Problem:
        limit = f"{self._max_header_bytes:,} bytes"
        if len(self._target) > self._max_header_bytes // 2:
            return malformed(f"The request line is longer than {limit}.", "target_too_long", 414)
        return malformed(f"The request's header is larger than {limit}.", "header_too_large", 431)

    # Callbacks of the parser.

    def on_url(self, url: bytes) -> None:
        """Note a part of the request's target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header, or count a trailer."""
        if self.is_in_head:
            self._headers.append((name.lower(), value))
            return
        self._trailers += 1
        if self._trailers > MAX_HEADERS:
            self._problem = malformed(f"The body has more than {MAX_HEADERS} trailers.", "too_many_headers", 431)

    def on_headers_complete(self) -> None:
        """Check the head of a request."""
        parser = self._parser
        size = len(self._target) + sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in self._headers)
        if self._problem is None and size > self._max_header_bytes:
            self._problem = self._too_long()
        if self._problem is None:
            self._problem = check_head(parser.get_method(), self._target, parser.get_http_version(), self._headers)
        self.heads += 1
        self.is_in_head = False
        self.target, self._target = self._target, b""
        self._headers = []

    def on_body(self, body: bytes) -> None:
        """Count the bytes of a body."""
        self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        """Expect the next head."""
        self._ends += 1
        self.is_in_head = True
        self._trailers = self._head_bytes = self._body_bytes = self._framing_bytes = 0
