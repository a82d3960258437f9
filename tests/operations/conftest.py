import pytest

from fakes.live_server import LiveServer
from fakes.otlp_collector import OtlpCollector
from operations.exposed import exposed


@pytest.fixture(scope="session")
def metrics(tmp_path_factory):
    """What a server shows that has every part which has metrics of its own."""
    outcomes = tmp_path_factory.mktemp("operations") / "outcomes.jsonl"
    with (
        OtlpCollector() as collector,
        LiveServer(otlp_traces_url=collector.url, outcomes=outcomes, api_key="k") as server,
    ):
        yield exposed(server)
