"""A cascade: a light model, a heavy one, and what share of pictures a gate between them escalates."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from safelight.cascade.router import Router

StageSeconds = Mapping[int, float]
"""Seconds of a stage by pictures per call."""

Curve = tuple[tuple[float, float], ...]
"""Pairs of a threshold and the share of light pictures that score below it."""

LINEAR: Final[Curve] = ((0.0, 0.0), (1.0, 1.0))
"""That of scores that are spread evenly."""

THRESHOLD: Final = 0.5


class Cascade(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Every picture is painted by the light model first, and again by the heavy one if the gate does not accept it.

    Attributes:
        name: as requests name it in place of a model.
        deferral: pairs of a threshold and the share of light pictures that score below it, both rising from 0 to 1.
        threshold: of the gate where no policy chooses another one.
        best_share: escalating a larger share makes no better pictures; 1 if nothing is known.
        gate: the name of the gate that scores light pictures; None for a cascade whose pictures have no scores.
        router: what reads the prompt alone; None without one.
        rival: another gate, which a baseline uses in place of `gate`, with its `rival_deferral`.
        takes_unnamed: whether requests that name no model are for it, if it is the first cascade.

    Raises:
        ValueError: for a deferral curve that falls, or has numbers that are no shares.
    """

    name: str
    light: str
    heavy: str
    deferral: Curve = LINEAR
    threshold: float = THRESHOLD
    best_share: float = 1.0
    gate: str | None = None
    router: "Router | None" = None
    rival: str | None = None
    rival_deferral: Curve = LINEAR
    takes_unnamed: bool = True

    def __post_init__(self) -> None:
        for curve in (self.deferral, self.rival_deferral):
            self._check(curve)

    def _check(self, curve: Curve) -> None:
        numbers = [number for point in curve for number in point]
        if not curve or not all(math.isfinite(number) and 0 <= number <= 1 for number in numbers):
            raise ValueError(f"the deferral curve of {self.name!r} needs thresholds and shares from 0 to 1")
        for (threshold, share), (later, more) in pairwise(curve):
            if later <= threshold or more < share:
                raise ValueError(
                    f"the deferral curve of {self.name!r} falls from {share} at {threshold} to {more} at {later}; "
                    "a higher threshold escalates more"
                )

    @property
    def with_rival(self) -> "Cascade":
        """Itself with the other gate in place of its own."""
        return msgspec.structs.replace(self, gate=self.rival, deferral=self.rival_deferral)

    def share(self, threshold: float) -> float:
        """Return the share of light pictures that score below `threshold`."""
        return _interpolated(threshold, self.deferral)

    def threshold_within(self, share: float) -> float:
        """Return the highest threshold that escalates at most `share` of the pictures, or the lowest one."""
        shares = [known for _, known in self.deferral]
        last = bisect_right(shares, share) - 1
        if last < 0:
            return self.deferral[0][0]
        if last == len(shares) - 1:
            return self.deferral[-1][0]
        (threshold, known), (later, more) = self.deferral[last : last + 2]
        return threshold + (later - threshold) * (share - known) / (more - known)

    def score(self, quantile: float) -> float:
        """Return the score below which the share `quantile` of light pictures is."""
        return self.threshold_within(quantile)


def _interpolated(at: float, points: tuple[tuple[float, float], ...]) -> float:
    """Return the height of the line through `points`, level beyond its ends."""
    right = bisect_left(points, (at,))
    if right == 0:
        return points[0][1]
    if right == len(points):
        return points[-1][1]
    (low, before), (high, after) = points[right - 1 : right + 1]
    return before + (after - before) * (at - low) / (high - low)
