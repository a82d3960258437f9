"""The protocol of a gate: what looks at a finished picture."""

from collections.abc import Sequence
from typing import Protocol

from safelight.core.model import GateSpec
from safelight.core.pixels import Pixels


class GateScorer(Protocol):
    """Scores finished pictures of one model."""

    @property
    def spec(self) -> GateSpec: ...

    def score(self, pictures: Sequence[Pixels], prompts: Sequence[str]) -> Sequence[float]:
        """Return the calibrated probability, from 0 to 1, that each picture is good enough for its prompt."""
        ...
