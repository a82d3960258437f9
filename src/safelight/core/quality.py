"""By which levels a picture was made, and what was promised about it."""

from collections.abc import Sequence

import msgspec

from safelight.core.level import Gate, RouteReason
from safelight.core.outcome import Outcome
from safelight.core.reuse import Reused


class QualityProvenance(msgspec.Struct, frozen=True, kw_only=True):
    """By which levels a picture was made, and what was promised about it.

    Attributes:
        cascade: that the request was for; None for a single model.
        levels: the models that painted it, in order; the picture is that of the last one.
        reason: why it was for these levels.
        gate: the gate that looked at the light model's picture; None if none did.
        gate_score: the probability that the light picture is good enough, by the gate; None if it has said nothing.
        threshold: the least score at which the light picture was to be the answer.
        hardness: the probability, by the prompt alone, that a light picture is not good enough.
        kept_for_deadline: whether the light picture is the answer below the threshold, since the heavy model would have
            been late.
        promise: the least probability that the request has asked for; None if it has asked for none.
        kept_promise: whether the light picture has that score, or the heavy model has painted; None without a promise.
        reused: what of an earlier picture served it.
        predicted_loss: what a predictor of levels expects to be lost to the full level.
    """

    cascade: str | None = None
    levels: tuple[str, ...]
    reason: RouteReason
    gate: str | None = None
    gate_score: float | None = None
    threshold: float | None = None
    hardness: float | None = None
    kept_for_deadline: bool = False
    promise: float | None = None
    kept_promise: bool | None = None
    reused: Reused | None = None
    predicted_loss: float | None = None


def quality_of(outcome: Outcome) -> QualityProvenance:
    """Return by which levels a finished picture was made."""
    route = outcome.route
    gate: Gate | None = route.gates[0] if route.gates and outcome.stages else None
    score = outcome.stages[0].score if gate is not None else None
    promise = outcome.request.min_quality
    is_early = gate is not None and len(outcome.stages) <= len(route.gates)
    return QualityProvenance(
        cascade=route.cascade,
        levels=tuple(stage.level.model for stage in outcome.stages) or (outcome.level.model,),
        reason=route.reason,
        gate=None if gate is None else gate.name,
        gate_score=score,
        threshold=None if gate is None else gate.threshold,
        hardness=route.hardness,
        kept_for_deadline=gate is not None and is_early and not gate.accepts(score),
        promise=promise,
        kept_promise=None if promise is None else not is_early or (score is not None and score >= promise),
        reused=outcome.reused,
    )


def quality_of_all(outcomes: Sequence[Outcome]) -> QualityProvenance:
    """Return the same of several pictures of one request: of the one with the most levels, or the first of those.

    The score is the least of all, and the promise is kept if it is kept for all.
    """
    every = [quality_of(outcome) for outcome in outcomes]
    deepest = max(every, key=lambda quality: len(quality.levels))
    scores = [quality.gate_score for quality in every if quality.gate_score is not None]
    return msgspec.structs.replace(
        deepest,
        gate_score=min(scores, default=None),
        kept_for_deadline=any(quality.kept_for_deadline for quality in every),
        kept_promise=None if deepest.promise is None else all(quality.kept_promise for quality in every),
    )
