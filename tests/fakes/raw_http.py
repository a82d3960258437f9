"""HTTP by hand: what no well-behaved client would send."""

import json
import socket
from urllib.parse import urlsplit

PATIENCE_S = 20.0
LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(url, *, receive_bytes=None):
    """Return a connection to the server at `url`, with a small buffer if `receive_bytes` is given."""
    address = urlsplit(url)
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(PATIENCE_S)
    connection.connect((address.hostname, address.port))
    return connection


def read_to_end(connection):
    """Return what comes until the server closes the connection, or resets it."""
    answer = b""
    try:
        while piece := connection.recv(1 << 16):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


def exchange(url, *pieces):
    """Send `pieces` on a connection of their own and return all that comes until the server closes it."""
    with connect(url) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return read_to_end(connection)


def head(*lines, method="GET", path="/health/live", version="HTTP/1.1", host="localhost"):
    """Return the head of a request that ends its connection, with further `lines`."""
    own = [f"{method} {path} {version}", *([f"Host: {host}"] if host is not None else []), "Connection: close"]
    return "\r\n".join([*own, *lines, "", ""]).encode("latin-1")


def status_of(answer):
    """Return the status of a response, 0 if there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def code_of(answer):
    """Return the code of an error response."""
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]
