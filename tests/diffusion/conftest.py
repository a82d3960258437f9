"""The shipped models, loaded once."""

from pathlib import Path

import pytest

import safelight
from diffusion.jobs import make_job
from safelight.diffusion.engine import DiffusionEngine

MODELS = Path(safelight.__file__).parent / "models"


@pytest.fixture(scope="session")
def engine() -> DiffusionEngine:
    return DiffusionEngine.load([MODELS / "shapes-large", MODELS / "shapes-small"])


@pytest.fixture
def ask():
    """Make a job; every field of its request and level has a default but the id."""
    return make_job
