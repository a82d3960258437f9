"""A client that takes its response slowly is not one that takes nothing."""

from safelight.server.connections.transport import GuardedTransport


class FakeTransport:
    """A transport that holds what is written until it is taken."""

    def __init__(self):
        self.held = 0
        self.is_closed = False

    def write(self, data):
        self.held += len(data)

    def get_write_buffer_size(self):
        return self.held

    def is_closing(self):
        return self.is_closed

    def get_extra_info(self, name, default=None):
        return default


def guarded(transport):
    return GuardedTransport(transport, on_close=lambda: None)


def test_a_client_that_takes_nothing_is_noticed():
    transport = FakeTransport()
    guard = guarded(transport)
    guard.write(b"x" * 100)
    assert not guard.takes_no_bytes(0.0, 10.0)
    assert not guard.takes_no_bytes(9.0, 10.0)
    assert guard.takes_no_bytes(10.0, 10.0)


def test_a_slow_client_is_not():
    transport = FakeTransport()
    guard = guarded(transport)
    guard.write(b"x" * 100)
    for now in range(0, 100, 9):
        transport.held -= 1
        assert not guard.takes_no_bytes(float(now), 10.0)


def test_further_bytes_for_a_client_that_takes_nothing_do_not_help_it():
    transport = FakeTransport()
    guard = guarded(transport)
    for now in range(0, 10, 3):
        guard.write(b"x" * 100)
        assert not guard.takes_no_bytes(float(now), 10.0)
    guard.write(b"x" * 100)
    assert guard.takes_no_bytes(12.0, 10.0)


def test_nothing_is_written_to_a_client_that_has_left():
    transport = FakeTransport()
    guard = guarded(transport)
    transport.is_closed = True
    guard.write(b"x")
    assert transport.held == 0
