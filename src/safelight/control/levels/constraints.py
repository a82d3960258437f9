"""What a model can do of what a client asks, and the level that does it."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from safelight.core.errors import InvalidParameter, UnknownModel, UnknownSampler
from safelight.core.level import MAX_STEPS, Level, Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest, Quality

STEP_FACTORS: Final[Mapping[Quality, float]] = MappingProxyType(
    {"low": 0.5, "medium": 1.0, "high": 1.5, "xhigh": 2.0, "max": 2.0}
)
"""Steps of each quality, as a multiple of the model's own."""


def find_model(name: str | None, models: Mapping[str, ModelSpec]) -> ModelSpec:
    """Return the model called `name`, or the first one for None; raises UnknownModel."""
    if name is None:
        return next(iter(models.values()))
    if name not in models:
        raise UnknownModel(name, tuple(models))
    return models[name]


def level_on(model: ModelSpec, request: ImageRequest) -> Level:
    """Return the level that serves `request` on `model`, with the model's defaults for what the client did not set.

    Raises:
        InvalidParameter, UnknownSampler: if the model cannot do what the client asks.
    """
    _check_guidance(request, model)
    check_size(request.width, request.height, model)
    steps = request.steps or min(MAX_STEPS, math.ceil(model.steps * STEP_FACTORS[request.quality]))
    return Level(
        model=model.name,
        steps=steps,
        guidance_scale=model.guidance_scale if request.guidance_scale is None else request.guidance_scale,
        guidance=model.guidance,
        sampler=_sampler(request.sampler, model),
        step_cache=_step_cache(request.step_cache, model),
        first_step=0 if request.source is None else request.source.first_step(steps),
    )


def misfit(route: Route, request: ImageRequest, models: Mapping[str, ModelSpec]) -> str | None:
    """Return why some level of a route cannot serve `request` on its model, or None if all can."""
    for level in route.levels:
        model = models.get(level.model)
        if model is None:
            return f"no worker has served {level.model!r}, which it chose"
        if level.guidance != model.guidance or level.sampler not in model.samplers:
            return f"{level.model!r} cannot have {level.guidance!r} guidance with the sampler {level.sampler!r}"
        if not 0 <= level.first_step < level.steps:
            return f"it chose {level.steps} steps from step {level.first_step} on"
        if not is_paintable(request.width, request.height, model):
            return f"{level.model!r} does not paint {request.width}x{request.height}"
    return None


def is_paintable(width: int, height: int, model: ModelSpec) -> bool:
    """Whether `model` makes pictures of this size in pixels."""
    return all(side % model.size_multiple == 0 and side <= model.max_side for side in (width, height))


def check_size(width: int, height: int, model: ModelSpec) -> None:
    """Raise InvalidParameter for a size in pixels that `model` does not make."""
    if not is_paintable(width, height, model):
        raise InvalidParameter(
            "size",
            f"{width}x{height}",
            f"{model.name} paints widths and heights that are multiples of {model.size_multiple} "
            f"from {model.size_multiple} to {model.max_side}",
        )


def _check_guidance(request: ImageRequest, model: ModelSpec) -> None:
    if request.negative_prompt and model.guidance != "classifier-free":
        raise InvalidParameter(
            "negative_prompt",
            request.negative_prompt,
            f"{model.name} paints without the second look that a negative prompt needs; leave it out",
        )
    if request.guidance_scale is not None and request.guidance_scale > 1 and model.guidance == "none":
        raise InvalidParameter(
            "guidance_scale", request.guidance_scale, f"{model.name} was made to paint without guidance; leave it out"
        )


def _step_cache(tolerance: float | None, model: ModelSpec) -> float:
    if tolerance and not model.caches_steps:
        raise InvalidParameter(
            "step_cache",
            tolerance,
            f"{model.name} computes every step; models with diffusion transformers can skip some",
        )
    return tolerance or 0.0


def _sampler(name: str | None, model: ModelSpec) -> str:
    if name is None:
        return model.sampler
    if name not in model.samplers:
        raise UnknownSampler(name, model.samplers)
    return name
