"""When there are too many connections the most silent one is closed first."""

import pytest
import structlog

from safelight.server.connections.ledger import ConnectionLedger, State
from safelight.server.connections.limits import ConnectionLimits

LIMITS = ConnectionLimits(max_connections=4, header_timeout_s=10, idle_timeout_s=60, write_timeout_s=30)


class FakeConnection:
    """A connection that notes what is asked of it."""

    def __init__(self, ledger, *, is_stuck=False, has_left=False):
        self.state = State.SILENT
        self.done = ""
        self.has_unsent = False
        self._ledger = ledger
        self._is_stuck = is_stuck
        self._has_left = has_left

    def close(self):
        self.done = "closed"
        self._ledger.lost(self)

    def abort(self):
        self.done = "aborted"
        self._ledger.lost(self)

    def time_out(self):
        self.done = "timed out"
        self._ledger.lost(self)

    def give_up(self):
        self.done = "given up"
        self._ledger.moved(self, State.CLOSING, 0.0)

    def takes_no_bytes(self, now, within_s):
        return self._is_stuck and now >= within_s

    def has_left(self):
        return self._has_left


@pytest.fixture
def ledger():
    return ConnectionLedger(LIMITS, log=structlog.get_logger())


def opened(ledger, now, state=State.SILENT, **facts):
    connection = FakeConnection(ledger, **facts)
    ledger.opened(connection, now)
    ledger.moved(connection, state, now)
    return connection


def test_the_oldest_silent_connection_makes_room(ledger):
    first, *others = (opened(ledger, now) for now in range(4))
    newcomer = opened(ledger, 5)
    assert first.done == "aborted"
    assert not any(connection.done for connection in [*others, newcomer])
    assert ledger.cut == {"evicted_silent": 1}


def test_silent_ones_go_before_idle_ones_and_idle_ones_before_uploads(ledger):
    upload = opened(ledger, 0, State.UPLOADING)
    idle = opened(ledger, 1, State.IDLE)
    silent = opened(ledger, 2)
    working = opened(ledger, 3, State.WORKING)
    for now, expected in ((4, silent), (5, idle), (6, upload)):
        assert not expected.done
        opened(ledger, now, State.WORKING)
        assert expected.done
    assert not working.done


def test_work_is_never_cut_for_a_newcomer(ledger):
    working = [opened(ledger, 0, State.WORKING) for _ in range(4)]
    newcomer = opened(ledger, 100)
    assert newcomer.done == "aborted"
    assert ledger.open_count == 4
    assert not any(connection.done for connection in working)


def test_a_request_finds_no_room_when_all_but_the_kept_connections_work(ledger):
    *_, last = (opened(ledger, 0, State.WORKING) for _ in range(4))
    assert not ledger.has_room(last, 1)


def test_an_old_upload_gives_way_to_a_request(ledger):
    upload = opened(ledger, 0, State.UPLOADING)
    *_, last = (opened(ledger, 9, State.WORKING) for _ in range(3))
    assert ledger.has_room(last, 9)
    assert upload.done == "given up"


def test_a_young_upload_does_not(ledger):
    upload = opened(ledger, 8.5, State.UPLOADING)
    *_, last = (opened(ledger, 9, State.WORKING) for _ in range(3))
    assert not ledger.has_room(last, 9)
    assert not upload.done


def test_each_connection_has_its_time(ledger):
    silent, idle = opened(ledger, 0), opened(ledger, 0, State.IDLE)
    working, stuck = opened(ledger, 0, State.WORKING), opened(ledger, 0, State.WORKING, is_stuck=True)
    ledger.sweep(9)
    assert not silent.done
    ledger.sweep(10)
    assert silent.done == "timed out"
    ledger.sweep(29)
    assert not stuck.done
    ledger.sweep(30)
    assert stuck.done == "aborted"
    ledger.sweep(60)
    assert idle.done == "closed"
    ledger.sweep(10_000)
    assert not working.done
    assert ledger.cut == {"header_timeout": 1, "idle_timeout": 1, "write_timeout": 1}


def test_a_client_that_has_left_is_given_up(ledger):
    gone = opened(ledger, 0, State.WORKING, has_left=True)
    ledger.sweep(1)
    assert gone.done == "aborted"


def test_a_server_that_ends_waits_for_no_body(ledger):
    early, working = opened(ledger, 0, State.UPLOADING), opened(ledger, 0, State.WORKING)
    ledger.end()
    late = opened(ledger, 0, State.UPLOADING)
    ledger.sweep(1)
    assert (early.done, late.done, working.done) == ("aborted", "aborted", "")


def test_the_last_state_of_a_connection_is_final(ledger):
    connection = opened(ledger, 0, State.CLOSING)
    ledger.moved(connection, State.IDLE, 1)
    assert connection.state == State.CLOSING
    ledger.lost(connection)
    ledger.moved(connection, State.IDLE, 2)
    assert ledger.open_count == 0
