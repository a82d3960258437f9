"""The level policies; tests of the family pick up new ones."""

from typing import Final

from safelight.control.levels.as_asked import AsAsked
from safelight.control.levels.protocol import LevelPolicy

LEVEL_POLICIES: Final[tuple[LevelPolicy, ...]] = (AsAsked(),)
"""The first is what a server uses unless it is told otherwise."""
