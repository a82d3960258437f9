"""Writing a log line never waits for a reader."""

import io
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from fakes.live_server import PATIENCE_S, eventually
from fakes.raw_http import connect, head, read_to_end
from safelight.server.log_stream import LogStream
from safelight.server.logs import make_log

SERVED = Path(__file__).parents[1] / "fakes" / "served.py"
LINE = "x" * 1000 + "\n"


@contextmanager
def piped():
    """The reading end of a pipe, and a text file that writes to it."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as file:
        yield reading, file
    with suppress(OSError):
        os.close(reading)


def test_lines_reach_the_stream_in_order():
    text = io.StringIO()
    with LogStream(text) as stream:
        log = make_log(stream)
        for number in range(10):
            log.info("event", number=number)
    assert [line.partition('"number":')[2][0] for line in text.getvalue().splitlines()] == list("0123456789")


def test_a_reader_that_has_stopped_costs_lines_and_not_time():
    with piped() as (reading, file):
        stream = LogStream(file, max_lines=10)
        for _ in range(500):
            stream.write(LINE)
        assert stream.lost > 300
        eventually(lambda: os.read(reading, 1 << 20))
        stream.end()


def test_lines_arrive_again_when_the_reader_continues():
    with piped() as (reading, file):
        stream = LogStream(file, max_lines=200)
        for _ in range(150):
            stream.write(LINE)
        received = b""
        while len(received) < 150 * len(LINE):
            received += os.read(reading, 1 << 16)
        stream.end()
        assert stream.lost == 0


def test_a_reader_that_has_left_costs_lines_only():
    with piped() as (reading, file), LogStream(file) as stream:
        os.close(reading)
        stream.write(LINE)
        eventually(lambda: stream.lost == 1)


def test_a_pipe_that_does_not_block_loses_nothing():
    with piped() as (reading, file), LogStream(file) as stream:
        os.set_blocking(file.fileno(), False)
        for _ in range(150):
            stream.write(LINE)
        received = b""
        while len(received) < 150 * len(LINE):
            received += os.read(reading, 1 << 16)
        assert stream.lost == 0


def test_a_server_whose_log_nobody_reads_goes_on():
    argv = [sys.executable, str(SERVED), "0", "5"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        missing = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with connect(url) as connection:
            connection.sendall(missing * 1000 + head())
            assert read_to_end(connection).count(b"HTTP/1.1 404 ") == 1000
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
