"""What has to be installed for which command."""

import importlib.util

from safelight.cli.errors import MissingExtra

SERVE_EXTRA = ("torch", "diffusers", "fastapi", "pydantic", "uvicorn")


def need_serve_extra() -> None:
    """Make sure that what models and servers need is installed.

    Raises:
        MissingExtra: if it is not.
    """
    for package in SERVE_EXTRA:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("serve", package)
