"""The command lines of worker processes."""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from safelight.core.errors import CannotServe

ROWS_OF_ONE_PICTURE = 2
"""A denoiser row with the prompt, and one without."""


def worker_argv(folders: Sequence[Path], *options: str) -> tuple[str, ...]:
    """Return the command line of a worker with the models in `folders`."""
    models = [part for folder in folders for part in ("--model", str(folder))]
    return (sys.executable, "-m", "safelight.worker", *models, *options)


def one_picture_argv(folders: Sequence[Path], *options: str) -> tuple[str, ...]:
    """Return the command line of a worker for one picture at a time."""
    return worker_argv(folders, *options, "--max-denoiser-rows", str(ROWS_OF_ONE_PICTURE))


def controlnet_service_argv(*options: str) -> tuple[str, ...]:
    """Return the command line of the process with the ControlNets of all workers.

    Raises:
        CannotServe: if this system lacks Unix sockets.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise CannotServe("--controlnet-service needs Unix domain sockets, which this system lacks. Leave it out.")
    return (sys.executable, "-m", "safelight.worker.controlnet_service", *options)
