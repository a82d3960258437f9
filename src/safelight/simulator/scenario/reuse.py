"""`[reuse]`: requests may be served from earlier pictures."""

from typing import Final

import msgspec

from safelight.core.errors import nearest
from safelight.latents.limits import MAX_USES, TTL_S, ReuseLimits
from safelight.latents.predictor import LEVEL_PREDICTORS
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.quantities import Bytes, Count, Factor, Name
from safelight.simulator.simulation import ReuseRules

EXACT: Final = "exact"
"""In place of a predictor: only the picture of the same request is reused."""


class ReuseEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of earlier pictures, and who chooses how later ones start from them.

    Attributes:
        predictor: a level predictor of `serve --reuse`, by name; `exact` reuses finished pictures only.
        max_bytes: of everything that is kept.
        entry_bytes: of one picture with its estimates.
        ttl_s: an older picture serves nothing.
        max_uses: how many pictures may start from one.
        schedule_shift: of the schedules; a step with the share t of the steps left starts at s t / (1 + (s - 1) t).
    """

    predictor: Name = LEVEL_PREDICTORS[0].name
    max_bytes: Bytes = 1_000_000_000
    entry_bytes: Bytes = 100_000
    ttl_s: Factor = TTL_S
    max_uses: Count = MAX_USES
    schedule_shift: Factor = 1.0

    @property
    def rules(self) -> ReuseRules:
        predictors = {each.name: each for each in LEVEL_PREDICTORS}
        limits = ReuseLimits(max_bytes=int(self.max_bytes), ttl_s=self.ttl_s, max_uses=self.max_uses)
        return ReuseRules(
            predictor=predictors.get(self.predictor),
            schedule=self._schedule,
            entry_bytes=int(self.entry_bytes),
            limits=limits,
        )

    def _schedule(self, steps: int) -> tuple[float, ...]:
        shares = (1 - step / steps for step in range(steps))
        return tuple(self.schedule_shift * share / (1 + (self.schedule_shift - 1) * share) for share in shares)


def check_reuse(reuse: ReuseEntry | None) -> None:
    """Raise BadScenario for a predictor that does not exist."""
    known = (EXACT, *(each.name for each in LEVEL_PREDICTORS))
    if reuse is not None and reuse.predictor not in known:
        raise BadScenario(f"is {reuse.predictor!r}; {nearest(reuse.predictor, known)}", place="reuse.predictor")
