"""Routes through a cascade, and which requests take one."""

import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from safelight.cascade.cascade import Cascade
from safelight.cascade.thresholds import shared_share
from safelight.control.levels.as_asked import AsAsked
from safelight.control.levels.constraints import find_model, level_on
from safelight.control.levels.load import FleetLoad
from safelight.core.level import Gate, Level, Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest

UTILIZATION: Final = 0.85
"""Beyond this share of the workers' time, waits grow faster than the pictures get better."""


def routed(
    request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad, choose: Callable[[Cascade], Route]
) -> Route:
    """Return the route that `choose` makes for the cascade of `request`, where the client leaves a choice.

    A request without a model is for the first cascade. `quality` `low` asks for the light model, and `high` and above
    for the heavy one. A request with adapters or a start picture is served by the heavy model, since no gate was
    trained for such pictures.

    Raises:
        RequestError: as `level_on`.
    """
    name = next(iter(load.cascades), None) if request.model is None else request.model
    cascade = None if name is None else load.cascades.get(name)
    if cascade is None:
        return AsAsked().route(request, models)
    if request.quality == "low":
        return Route(levels=(light_level(cascade, request, models),))
    if request.quality != "medium" or request.adapters or request.source is not None:
        return Route(levels=(heavy_level(cascade, request, models),))
    return choose(cascade)


def affordable_share(
    cascade: Cascade,
    request: ImageRequest,
    models: Mapping[str, ModelSpec],
    load: FleetLoad,
    *,
    utilization: float,
) -> float:
    """Return the share of the pictures that the heavy model can paint too within the deadline and the load."""
    return shared_share(
        demand_per_s=load.demand_per_s(cascade),
        workers=len(load.workers.serving(cascade.heavy)),
        light=load.stage_seconds(request, light_level(cascade, request, models)),
        heavy=load.stage_seconds(request, heavy_level(cascade, request, models)),
        deadline_s=math.inf if request.deadline_s is None else request.deadline_s,
        utilization=utilization,
    )


def gated(
    cascade: Cascade, request: ImageRequest, models: Mapping[str, ModelSpec], *, threshold: float, share: float
) -> Route:
    """Return the route through both models, whose gate escalates `share` of the pictures; no gate if it is 0."""
    light = light_level(cascade, request, models)
    if share <= 0:
        return Route(levels=(light,))
    gate = Gate(threshold=threshold, share=share, keeps_deadline=True)
    return Route(levels=(light, heavy_level(cascade, request, models)), gates=(gate,))


def light_level(cascade: Cascade, request: ImageRequest, models: Mapping[str, ModelSpec]) -> Level:
    """Return the level of the light model; raises RequestError as `level_on`."""
    return level_on(find_model(cascade.light, models), _plain(request))


def heavy_level(cascade: Cascade, request: ImageRequest, models: Mapping[str, ModelSpec]) -> Level:
    """Return the level of the heavy model; raises RequestError as `level_on`."""
    return level_on(find_model(cascade.heavy, models), _plain(request))


def _plain(request: ImageRequest) -> ImageRequest:
    """Return the request with the steps of its models, where `quality` has chosen the model instead."""
    if request.quality not in {"low", "high"}:
        return request
    return msgspec.structs.replace(request, quality="medium")
