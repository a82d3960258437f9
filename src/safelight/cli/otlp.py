"""Where traces are sent, by an option or by the variables that OpenTelemetry defines for every program."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from safelight.cli.errors import Misuse
from safelight.core.errors import shorten

_TRACES_PATH = "/v1/traces"
_PROTOCOL = "http/protobuf"


def otlp_traces_url(endpoint: str | None, environment: Mapping[str, str]) -> str | None:
    """Return the full URL that takes traces, or None if none are sent; `endpoint` goes before the variables.

    Raises:
        Misuse: for what is no URL.
    """
    if endpoint:
        return _checked("--otlp-endpoint", endpoint).rstrip("/") + _TRACES_PATH
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    if full := environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        _check_protocol(environment)
        return _checked("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", full)
    if base := environment.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        _check_protocol(environment)
        return _checked("OTEL_EXPORTER_OTLP_ENDPOINT", base).rstrip("/") + _TRACES_PATH
    return None


def _check_protocol(environment: Mapping[str, str]) -> None:
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if protocol := environment.get(name):
            if protocol != _PROTOCOL:
                raise Misuse(
                    f"{name} is {shorten(protocol)}, but traces are sent by {_PROTOCOL} only; "
                    "set that, with the collector's port for it (usually 4318), or set OTEL_TRACES_EXPORTER=none."
                )
            return


def _checked(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise Misuse(f"{name} {shorten(url)} is no address of a collector; write http://HOST:PORT, usually port 4318.")
    return url
