"""Lines on their way to a disk that fails, recovers or hangs."""

import threading

import pytest

from fakes.noting_log import NotingLog
from safelight.service.line_writer import LineWriter

LINE = b"line\n"
UNWRITABLE = b"gone\n"
FULL = OSError(28, "No space left on device")


class FakeFile:
    """Keeps lines but `UNWRITABLE` ones; waits until `gate` is open."""

    path = "log"
    reopened = 0

    def __init__(self):
        self.lines = []
        self.gate = threading.Event()
        self.gate.set()
        self.tried = threading.Semaphore(0)
        self.is_closed = False

    def append(self, line):
        self.tried.release()
        self.gate.wait(10)
        if line == UNWRITABLE:
            raise FULL
        self.lines.append(line)

    def close(self):
        self.is_closed = True


class Writing:
    """A writer over a fake file."""

    def __init__(self, **settings):
        self.file = FakeFile()
        self.log = NotingLog()
        self.written, self.lost = [], []
        self.writer = LineWriter(self.file, log=self.log, **settings)
        self.writer.watch(on_written=self.written.append, on_lost=self.lost.append)

    def add(self, *lines):
        """Add lines, and wait until the file was asked to take them."""
        for line in lines:
            self.writer.add(line)
        for _ in lines:
            assert self.file.tried.acquire(timeout=10)


@pytest.fixture
def writing():
    return Writing()


def test_lines_are_written_in_order(writing):
    lines = [b"%d\n" % number for number in range(100)]
    writing.add(*lines)
    writing.writer.close()
    assert writing.file.lines == lines
    assert sum(writing.written) == 100
    assert writing.file.is_closed


def test_a_full_disk_is_logged_once_and_every_line_counted(writing):
    writing.add(UNWRITABLE, UNWRITABLE, UNWRITABLE)
    writing.writer.close()
    assert sum(writing.lost) == 3
    assert [facts["reason"] for facts in writing.log.facts("outcomes are lost")] == ["No space left on device"]


def test_recovery_is_logged_with_the_number_of_lost_lines(writing):
    writing.add(UNWRITABLE, UNWRITABLE)
    writing.add(LINE)
    writing.writer.close()
    assert [facts["lost"] for facts in writing.log.facts("outcomes are written again")] == [2]
    assert writing.log.facts("outcomes were lost") == []


def test_lines_that_are_still_lost_at_the_end_are_logged(writing):
    writing.add(UNWRITABLE, UNWRITABLE)
    writing.writer.close()
    assert [facts["lost"] for facts in writing.log.facts("outcomes were lost")] == [2]


def test_a_disk_that_hangs_costs_lines_and_blocks_nobody():
    writing = Writing(max_waiting_bytes=2 * len(LINE))
    writing.file.gate.clear()
    writing.add(LINE)
    for _ in range(5):
        writing.writer.add(LINE)
    assert sum(writing.lost) == 3
    assert len(writing.log.facts("outcomes are lost")) == 1
    writing.file.gate.set()
    writing.writer.close()
    assert len(writing.file.lines) == 3


def test_the_end_does_not_wait_for_a_disk_that_hangs(writing):
    writing.file.gate.clear()
    writing.add(LINE)
    writing.writer.add(LINE)
    writing.writer.close(within_s=0.01)
    assert sum(writing.lost) == 1
    writing.file.gate.set()
