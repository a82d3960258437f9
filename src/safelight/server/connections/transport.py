"""A transport that stays silent once its client has left, and knows how much of what was written has arrived."""

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

if sys.platform == "linux":
    import fcntl
    import termios

_TCP_CLOSE, _TCP_CLOSE_WAIT = 7, 8
"""States of TCP in which the peer sends nothing more."""


class GuardedTransport(asyncio.Transport):
    """The server's view of a transport: `close` asks the guard, and nothing is written once it is muted."""

    def __init__(self, transport: asyncio.Transport, *, on_close: Callable[[], None]) -> None:
        super().__init__()
        self._transport = transport
        self._on_close = on_close
        self._is_muted = False
        self._written = 0
        self._taken = -1
        self._taken_since = 0.0

    def mute(self) -> None:
        """Drop what is written from now on."""
        self._is_muted = True

    def takes_no_bytes(self, now: float, within_s: float) -> bool:
        """Whether bytes have waited for the client for `within_s` and it has taken none of them."""
        waiting = self._transport.get_write_buffer_size()
        if not waiting and not self._transport.is_closing():
            self._taken = -1
            return False
        taken = self._written - waiting - self._in_kernel()
        if taken != self._taken:
            self._taken, self._taken_since = taken, now
        return now - self._taken_since >= within_s

    def peer_has_closed(self) -> bool:
        """Whether the client sends nothing more, as far as the system knows and tells."""
        connection = self._transport.get_extra_info("socket")
        if connection is None or not hasattr(socket, "TCP_INFO"):
            return False
        with contextlib.suppress(OSError):
            return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in {_TCP_CLOSE, _TCP_CLOSE_WAIT}
        return False

    def _in_kernel(self) -> int:
        """Return how many bytes the system has not been able to deliver, where it tells."""
        connection = self._transport.get_extra_info("socket")
        if sys.platform == "linux" and connection is not None:
            with contextlib.suppress(OSError, ValueError):
                answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4)
                return int(struct.unpack("i", answer)[0])
        return 0

    # The interface of a transport.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, unless the client has left."""
        if not self._is_muted and not self._transport.is_closing():
            self._written += len(data)
            self._transport.write(data)

    def close(self) -> None:
        """Let the guard close the connection."""
        self._on_close()

    def abort(self) -> None:
        """Close the connection now."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._is_muted or self._transport.is_closing()

    def is_reading(self) -> bool:
        """Whether bytes of the client are being received."""
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        """Receive nothing for now."""
        if self._transport.is_reading() and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Receive again."""
        if not self._transport.is_reading() and not self._transport.is_closing():
            self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's signature
        """Return what the transport knows."""
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait in this process."""
        return self._transport.get_write_buffer_size()
