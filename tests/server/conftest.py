import httpx2
import openai
import pytest

from fakes.live_server import LiveServer

STEP_S = 0.02


@pytest.fixture(scope="session")
def quick():
    """A server whose pictures take next to no time."""
    with LiveServer(max_waiting=1000) as server:
        yield server


@pytest.fixture(scope="session")
def slow():
    """A server whose pictures take half a second: 25 steps of 20 ms."""
    with LiveServer(step_s=STEP_S) as server:
        yield server


@pytest.fixture
def client(quick):
    with openai.OpenAI(base_url=f"{quick.url}/v1", api_key="EMPTY", max_retries=0) as client:
        yield client


@pytest.fixture
def http(quick):
    with httpx2.Client(verify=False, base_url=quick.url, timeout=30) as http:
        yield http


@pytest.fixture
def slow_http(slow):
    with httpx2.Client(verify=False, base_url=slow.url, timeout=30) as http:
        yield http
