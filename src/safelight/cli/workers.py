"""What starts a worker process, and what has to be installed for it."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from safelight.cli.errors import MissingExtra

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


def one_picture_argv(folders: Sequence[Path], *limits: str) -> tuple[str, ...]:
    """Return the command line of a worker that has no more than one picture to paint."""
    return worker_argv(folders, *limits, "--max-denoiser-rows", str(ROWS_OF_ONE_PICTURE))
