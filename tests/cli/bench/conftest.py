"""Null servers of the benchmark, as processes."""

import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest


@contextmanager
def null_server(*flags):
    """Run the null server on a free port; yields its address."""
    argv = (sys.executable, "-m", "safelight", "bench", "null-server", "--port", "0", *flags)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)


@pytest.fixture(scope="session")
def null_url():
    """A server that paints a picture in 10 ms."""
    with null_server("--fixed-s", "0.01") as url:
        yield url


@pytest.fixture(scope="session")
def queue_url():
    """A server that paints 100 pictures a second and no more."""
    with null_server("--workers", "1", "--fixed-s", "0.01") as url:
        yield url
