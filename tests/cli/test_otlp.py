"""Where traces are sent."""

import pytest

from safelight.cli.errors import Misuse
from safelight.cli.otlp import otlp_traces_url

BASE, FULL = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


@pytest.mark.parametrize(
    ("endpoint", "environment", "url"),
    [
        (None, {}, None),
        (None, {BASE: ""}, None),
        ("http://c:4318", {}, "http://c:4318/v1/traces"),
        ("http://c:4318/", {}, "http://c:4318/v1/traces"),
        ("https://c/otlp", {}, "https://c/otlp/v1/traces"),
        (None, {BASE: "http://c:4318"}, "http://c:4318/v1/traces"),
        (None, {FULL: "http://c:4318/all"}, "http://c:4318/all"),
        (None, {BASE: "http://a", FULL: "http://b/x"}, "http://b/x"),
        ("http://c", {BASE: "http://a", FULL: "http://b/x"}, "http://c/v1/traces"),
        (None, {BASE: "http://a", "OTEL_SDK_DISABLED": "true"}, None),
        (None, {BASE: "http://a", "OTEL_TRACES_EXPORTER": "none"}, None),
        ("http://c", {"OTEL_TRACES_EXPORTER": "none"}, "http://c/v1/traces"),
    ],
)
def test_the_option_goes_before_the_variables(endpoint, environment, url):
    assert otlp_traces_url(endpoint, environment) == url


@pytest.mark.parametrize("endpoint", ["c:4318", "ftp://c", "http://", "http://c:port", "http://[::1", "/v1/traces"])
@pytest.mark.parametrize("name", ["--otlp-endpoint", BASE, FULL])
def test_what_is_no_address_is_refused_by_the_name_of_its_origin(name, endpoint):
    option, environment = (endpoint, {}) if name.startswith("--") else (None, {name: endpoint})
    with pytest.raises(Misuse, match=name):
        otlp_traces_url(option, environment)


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_a_protocol_that_is_not_spoken_is_refused(name):
    assert otlp_traces_url(None, {BASE: "http://c", name: "http/protobuf"}) == "http://c/v1/traces"
    with pytest.raises(Misuse, match=name):
        otlp_traces_url(None, {BASE: "http://c:4317", name: "grpc"})


def test_the_protocol_of_traces_goes_before_that_of_everything():
    spoken = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
    assert otlp_traces_url(None, {BASE: "http://c"} | spoken) == "http://c/v1/traces"
