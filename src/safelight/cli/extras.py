"""What has to be installed for which command."""

import importlib.util

from safelight.cli.errors import MissingExtra

SERVE_EXTRA = ("torch", "diffusers", "fastapi", "pydantic", "uvicorn")

OTEL_EXTRA = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def need_serve_extra() -> None:
    """Make sure that what models and servers need is installed.

    Raises:
        MissingExtra: if it is not.
    """
    for package in SERVE_EXTRA:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("serve", package)


def need_otel_extra() -> None:
    """Make sure that what sends traces is installed.

    Raises:
        MissingExtra: if it is not.
    """
    for package in OTEL_EXTRA:
        if not _is_installed(package):
            raise MissingExtra("otel", package)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package that it is part of is missing
        return False
