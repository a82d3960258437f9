"""Metrics of the process itself: memory, open files, processor time, and which version it is."""

import platform

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from safelight.core.version import __version__


def register_process_metrics(registry: CollectorRegistry) -> None:
    """Add the standard `process_*` metrics, which are there on Linux only, and `safelight_build_info`."""
    ProcessCollector(registry=registry)
    build = Gauge(
        "safelight_build_info", "1; the labels say which version runs.", ["version", "python"], registry=registry
    )
    build.labels(__version__, platform.python_version()).set(1)
