"""The command lines of worker processes."""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from safelight.core.errors import CannotServe

ROWS_OF_ONE_PICTURE = 2
"""A denoiser row with the prompt, and one without."""


DETERMINISTIC = "--deterministic"


def compute_options(*, device: str, dtype: str, threads: int, deterministic: bool = False) -> tuple[str, ...]:
    """Return the options of all processes that compute: workers, and the process with the ControlNets."""
    options = ("--device", device, "--dtype", dtype, "--threads", str(threads))
    return (*options, DETERMINISTIC) if deterministic else options


def worker_argv(folders: Sequence[Path], *options: str) -> tuple[str, ...]:
    """Return the command line of a worker with the models in `folders`.

    A deterministic one takes one picture into each tick. A second one would make no call of a network cheaper, and
    both would be ready when the later one is.
    """
    rows = ("--max-denoiser-rows", str(ROWS_OF_ONE_PICTURE)) if DETERMINISTIC in options else ()
    models = [part for folder in folders for part in ("--model", str(folder))]
    return (sys.executable, "-m", "safelight.worker", *models, *rows, *options)


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
