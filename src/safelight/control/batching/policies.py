"""The batching policies; tests of the family pick up new ones."""

from typing import Final

from safelight.control.batching.anchor_scan import AnchorScan
from safelight.control.batching.deadline import DeadlineBatching
from safelight.control.batching.full import FullBatching
from safelight.control.batching.head_of_line import HeadOfLine
from safelight.control.batching.protocol import BatchingPolicy

BATCHING_POLICIES: Final[tuple[BatchingPolicy, ...]] = (DeadlineBatching(), FullBatching(), HeadOfLine(), AnchorScan())
"""The first one is the default."""
