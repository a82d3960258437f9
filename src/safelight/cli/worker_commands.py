"""Command lines of worker processes, and the packages that they need."""

import importlib.util
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from safelight.cli.errors import MissingExtra, Misuse

SERVE_EXTRA = ("torch", "diffusers", "fastapi", "pydantic", "uvicorn")

ROWS_OF_ONE_PICTURE = 2
"""A denoiser row with the prompt, and one without."""


def need_serve_extra() -> None:
    """Make sure that what models and servers need is installed.

    Raises:
        MissingExtra: if it is not.
    """
    for package in SERVE_EXTRA:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("serve", package)


def worker_argv(folders: Sequence[Path], *limits: str) -> tuple[str, ...]:
    """Return the command line of a worker with the models in `folders`."""
    models = [part for folder in folders for part in ("--model", str(folder))]
    return (sys.executable, "-m", "safelight.worker", *models, *limits)


def control_service_argv(*limits: str) -> tuple[str, ...]:
    """Return the command line of the process that has the ControlNets of all workers.

    Raises:
        Misuse: if workers cannot reach it on this system.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise Misuse("--control-service needs Unix domain sockets, which this system lacks. Leave it out.")
    return (sys.executable, "-m", "safelight.worker.control_service", *limits)


def one_picture_argv(folders: Sequence[Path], *limits: str) -> tuple[str, ...]:
    """Return the command line of a worker that has no more than one picture to paint."""
    return worker_argv(folders, *limits, "--max-denoiser-rows", str(ROWS_OF_ONE_PICTURE))
