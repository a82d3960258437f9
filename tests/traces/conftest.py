"""What tests of traces share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def published():
    """Find a file of published measurements: in SAFELIGHT_PUBLISHED_DATA, or in a folder `data` beside the checkout."""

    def find(name):
        named = os.environ.get("SAFELIGHT_PUBLISHED_DATA")
        folders = [Path(named)] if named else sorted(ROOT.parent.glob("*/data"))
        found = next((folder / name for folder in folders if (folder / name).is_file()), None)
        return found or pytest.skip(f"{name} is not here; name its folder in SAFELIGHT_PUBLISHED_DATA")

    return find
