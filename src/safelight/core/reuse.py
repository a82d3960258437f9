"""What may be reused for a picture, and what was."""

from typing import Literal

import msgspec

Reuse = Literal["none", "exact", "approximate", "always"]
"""`exact`: the picture of the same request. `approximate`: also a start from a similar picture's latents, but not for a
request with a seed of its own, several pictures or a source picture. `always`: for those too."""

ReuseScope = Literal["private", "shared"]
"""Whose pictures: the tenant's own, or also those of all tenants that share theirs."""

ReuseTier = Literal["exact", "approximate"]


class Reused(msgspec.Struct, frozen=True, kw_only=True):
    """What of an earlier picture served a request.

    Attributes:
        tier: the finished picture itself, or a start from its estimate.
        scope: whose picture it was.
        similarity: cosine of both prompts' vectors; 1 for an exact result.
        noise: the level that the start was re-noised to; None for an exact result.
        predicted_loss: of quality against the full run, by the level predictor; None if it predicts none.
        steps_saved: how many steps were not run.
        saved_s: seconds of compute that it saved, as the earlier picture took them.
        age_s: since the earlier picture was made.
        model: that painted it.
    """

    tier: ReuseTier
    scope: ReuseScope = "private"
    similarity: float = 1.0
    noise: float | None = None
    predicted_loss: float | None = None
    steps_saved: int
    saved_s: float = 0.0
    age_s: float = 0.0
    model: str
