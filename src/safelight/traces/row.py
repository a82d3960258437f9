"""One request of the canonical table as one line of JSON."""

from typing import Annotated, Literal

import msgspec

from safelight.core.outcome import Outcome
from safelight.core.quality import quality_of
from safelight.core.request import ImageRequest

Int32 = Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 31) - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""Whole numbers that their columns have room for."""

ANY_MODEL = "any"
"""`asked_model` of a request that leaves the model to the server."""


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """An element of `controlnets` or `loras`."""

    name: str | None = None
    scale: float | None = None


class TraceRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A row of the canonical table; `safelight.traces.schema` says what each field means."""

    request_id: str | None = None
    origin: Literal["recorded", "served", "simulated", "synthesized"] | None = None
    arrival_s: float | None = None
    service: str | None = None
    instance: str | None = None
    tenant: str | None = None
    task: str | None = None
    base_model: str | None = None
    controlnets: tuple[Adapter | None, ...] | None = None
    loras: tuple[Adapter | None, ...] | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    prompt_id: str | None = None
    inputs: tuple[str, ...] | None = None
    width: Int32 | None = None
    height: Int32 | None = None
    steps: Int32 | None = None
    strength: float | None = None
    frames: Int32 | None = None
    fps: Int32 | None = None
    images: Int32 | None = None
    guidance_scale: float | None = None
    sampler: str | None = None
    seed: Int64 | None = None
    deadline_s: float | None = None
    status: Literal["finished", "failed", "cancelled", "rejected", "expired"] | None = None
    reason: str | None = None
    duration_s: float | None = None
    predicted_s: float | None = None
    queue_s: float | None = None
    compute_s: float | None = None
    retries: Int32 | None = None
    pauses: Int32 | None = None
    steps_without_loras: Int32 | None = None
    asked_model: str | None = None
    asked_steps: Int32 | None = None
    asked_guidance_scale: float | None = None
    asked_quality: str | None = None
    asked_min_quality: float | None = None
    stages: Int32 | None = None
    gate_score: float | None = None


def row_of(outcome: Outcome, *, origin: Literal["served", "simulated"], epoch_s: float = 0.0) -> TraceRow:
    """Return the row of a request that ended; its columns are of the level of its last stage, and sums over all stages.

    Args:
        outcome: with times on the driver's clock.
        origin: who drove.
        epoch_s: what the trace's clock shows when the driver's shows 0; Unix time for served requests.
    """
    request, level = outcome.request, outcome.level
    starts_from_noise = request.source is None and level.start is None
    return TraceRow(
        request_id=request.id,
        origin=origin,
        arrival_s=epoch_s + request.arrived_s,
        instance=outcome.worker,
        tenant=request.tenant or None,
        task=_task(request),
        base_model=level.model,
        controlnets=tuple(Adapter(name=use.name, scale=use.scale) for use in request.controlnets),
        loras=tuple(Adapter(name=use.name, scale=use.scale) for use in request.loras),
        prompt=request.prompt,
        negative_prompt=request.negative_prompt or None,
        width=request.width,
        height=request.height,
        steps=level.steps,
        strength=None if starts_from_noise else level.steps_to_run / level.steps,
        images=1,
        guidance_scale=level.guidance_scale,
        sampler=level.sampler,
        seed=request.seed,
        deadline_s=request.deadline_s,
        status=outcome.status,
        reason=outcome.reason or None,
        duration_s=outcome.total_s,
        predicted_s=outcome.predicted_s,
        queue_s=outcome.queue_s,
        compute_s=outcome.compute_s,
        retries=outcome.retries,
        pauses=outcome.pauses,
        steps_without_loras=outcome.steps_without_loras,
        asked_model=request.model or ANY_MODEL,
        asked_steps=request.steps,
        asked_guidance_scale=request.guidance_scale,
        asked_quality=request.quality,
        asked_min_quality=request.min_quality,
        stages=len(outcome.stages),
        gate_score=quality_of(outcome).gate_score,
    )


def _task(request: ImageRequest) -> str:
    if request.source is None:
        return "text-to-image"
    return "image-to-image" if request.source.mask is None else "inpainting"
