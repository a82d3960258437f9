import pytest

from fakes.live_server import LiveServer
from safelight.server.connections.limits import ConnectionLimits

LIMITS = ConnectionLimits(
    max_connections=24, header_timeout_s=0.4, max_header_bytes=4096, idle_timeout_s=0.4, write_timeout_s=1.0
)


@pytest.fixture(scope="session")
def guarded(request):
    """A server of few connections and little patience, whose pictures take half a second."""
    loop = getattr(request, "param", "auto")
    with LiveServer(step_s=0.02, connections=LIMITS, loop=loop) as server:
        yield server


@pytest.fixture(scope="session")
def patient():
    """A server of few connections, with all the patience that there is by default."""
    with LiveServer(step_s=0.02, connections=ConnectionLimits(max_connections=24)) as server:
        yield server
