"""Asks for liveness all the time, from a process of its own: `liveness.py HOST PORT`.

Each probe is a new connection. A line on standard input ends a phase; the answer is the phase's probes as JSON.
"""

import json
import select
import socket
import sys
import time

EVERY_S = 0.05
GIVE_UP_S = 60.0
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def probe(host: str, port: int) -> float:
    """Return the milliseconds of one probe, at least those of `GIVE_UP_S` if it was not answered with 200."""
    began_s = time.perf_counter()
    try:
        with socket.create_connection((host, port), timeout=GIVE_UP_S) as connection:
            connection.sendall(REQUEST)
            is_alive = connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
    except OSError:
        is_alive = False
    took_s = time.perf_counter() - began_s
    return 1000 * (took_s if is_alive else max(took_s, GIVE_UP_S))


def main(host: str, port: str) -> None:
    """Probe until standard input ends."""
    probes: list[float] = []
    while True:
        probes.append(probe(host, int(port)))
        if select.select([sys.stdin], [], [], EVERY_S)[0]:
            if not sys.stdin.readline():
                return
            print(json.dumps(probes), flush=True)
            probes = []


if __name__ == "__main__":
    main(*sys.argv[1:])
