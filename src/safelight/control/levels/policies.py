"""The level policies; tests of the family pick up new ones."""

from typing import Final

from safelight.control.levels.as_asked import AsAsked
from safelight.control.levels.cascade import LoadCascade
from safelight.control.levels.cascade_static import StaticCascade
from safelight.control.levels.diffserve import DiffServe
from safelight.control.levels.gate_only import GateOnly
from safelight.control.levels.heaviest import Heaviest
from safelight.control.levels.lightest import Lightest
from safelight.control.levels.protocol import LevelPolicy
from safelight.control.levels.random_split import RandomSplit
from safelight.control.levels.router_only import RouterOnly
from safelight.control.levels.score_threshold import ScoreThreshold

LEVEL_POLICIES: Final[tuple[LevelPolicy, ...]] = (
    AsAsked(),
    LoadCascade(),
    StaticCascade(),
    GateOnly(),
    RouterOnly(),
    ScoreThreshold(),
    DiffServe(),
    RandomSplit(),
    Lightest(),
    Heaviest(),
)
"""The first is what a server uses unless it is told otherwise."""
