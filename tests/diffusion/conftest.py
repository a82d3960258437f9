"""The shipped models, loaded once."""

from pathlib import Path

import pytest

import safelight
from safelight.core.request import ImageRequest
from safelight.diffusion.engine import DiffusionEngine

MODELS = Path(safelight.__file__).parent / "models"


@pytest.fixture(scope="session")
def engine() -> DiffusionEngine:
    return DiffusionEngine.load([MODELS / "shapes-large", MODELS / "shapes-small"])


@pytest.fixture
def ask():
    """Make a request; every field has a default but the id."""

    def make(request_id: str, **fields) -> ImageRequest:
        defaults = {
            "model": "shapes-large",
            "prompt": "a large red circle on a white background",
            "width": 64,
            "height": 64,
            "steps": 8,
            "guidance_scale": 3.0,
            "sampler": "euler",
            "seed": 7,
            "arrived_s": 0.0,
        }
        return ImageRequest(id=request_id, **(defaults | fields))

    return make
