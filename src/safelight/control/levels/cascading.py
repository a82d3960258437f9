"""Which requests pass through a cascade, and by which routes."""

import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from safelight.cascade.cascade import Cascade
from safelight.cascade.thresholds import shared_share
from safelight.control.levels.as_asked import AsAsked
from safelight.control.levels.constraints import find_model, level_on
from safelight.control.levels.load import FleetLoad
from safelight.core.errors import InvalidParameter
from safelight.core.level import Gate, Level, Route, RouteReason
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest

UTILIZATION: Final = 0.85
"""Beyond this share of the workers' time, waits grow faster than the pictures get better."""


def cascade_of(request: ImageRequest, cascades: Mapping[str, Cascade]) -> Cascade | None:
    """Return the cascade that a request names, or the first one if it names no model; None if it is for none."""
    if request.model is not None:
        return cascades.get(request.model)
    first = next(iter(cascades.values()), None)
    return first if first is not None and first.takes_unnamed else None


def routed(
    request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad, choose: Callable[[Cascade], Route]
) -> Route:
    """Return the route that `choose` makes for the cascade of `request`, where the client leaves a choice.

    `quality` `low` asks for the light model, and `high` and above for the heavy one. What no gate was trained for is
    served by the heavy model, or by the light one if only that has the adapters. `min_quality` holds whatever `choose`
    says.

    Raises:
        RequestError: as `level_on`; or for a `min_quality` that nothing can keep.
    """
    cascade = cascade_of(request, load.cascades)
    if cascade is None:
        return AsAsked().route(request, models)
    return _without_choice(cascade, request, models, load) or _promised(choose(cascade), cascade, request, models)


def _without_choice(
    cascade: Cascade, request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad
) -> Route | None:
    """Return the route of a request that leaves no choice, or None."""
    if request.quality == "low":
        if request.min_quality is not None:
            raise InvalidParameter(
                "min_quality",
                request.min_quality,
                "quality low takes the light model's picture as it is; leave one out",
            )
        return light_route(cascade, request, models, "asked")
    if request.quality != "medium" or not request.uses_cascade:
        return heavy_route(cascade, request, models, "asked")
    if request.adapters and not load.adapters.are_of(request.adapters, cascade.heavy):
        if load.adapters.are_of(request.adapters, cascade.light):
            return _light_with_adapters(cascade, request, models)
        return heavy_route(cascade, request, models, "unfit")
    is_fit = _fits(cascade, request, find_model(cascade.light, models))
    return None if is_fit else heavy_route(cascade, request, models, "unfit")


def _light_with_adapters(cascade: Cascade, request: ImageRequest, models: Mapping[str, ModelSpec]) -> Route:
    if request.min_quality is not None:
        raise InvalidParameter(
            "min_quality",
            request.min_quality,
            f"only {cascade.light} has these adapters, and no gate was trained for them; leave one out",
        )
    return light_route(cascade, request, models, "unfit")


def _fits(cascade: Cascade, request: ImageRequest, light: ModelSpec) -> bool:
    """Whether the gate was trained for such pictures: plain ones, of at least the light model's own steps."""
    if request.adapters or request.source is not None:
        return False
    if cascade.gate is None:
        return True
    return (
        (request.width, request.height) == (light.width, light.height)
        and not request.negative_prompt
        and (request.steps is None or request.steps >= light.steps)
        and request.guidance_scale in {None, light.guidance_scale}
    )


def _promised(route: Route, cascade: Cascade, request: ImageRequest, models: Mapping[str, ModelSpec]) -> Route:
    """Return a route that keeps `min_quality`: `route`, if no light picture passes it without its gate."""
    least = request.min_quality
    if least is None or route.gates or route.levels[0].model == cascade.heavy:
        return route
    if cascade.gate is None:
        return heavy_route(cascade, request, models, "gate")
    return gated(cascade, request, models, threshold=least, share=cascade.share(least))


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


def share_in_force(
    cascade: Cascade,
    request: ImageRequest,
    models: Mapping[str, ModelSpec],
    load: FleetLoad,
    *,
    utilization: float,
) -> float:
    """Return the share of the pictures for the heavy model: as many as get better, and as the load allows lately."""
    share = affordable_share(cascade, request, models, load, utilization=utilization)
    return load.settled(cascade, min(share, cascade.best_share))


def gated(
    cascade: Cascade,
    request: ImageRequest,
    models: Mapping[str, ModelSpec],
    *,
    threshold: float,
    share: float,
    hardness: float | None = None,
) -> Route:
    """Return the route through both models, whose gate escalates `share` of the pictures; no gate if it is 0.

    The threshold is at least `min_quality`. Such a picture is not taken because of its deadline.
    """
    least = request.min_quality
    if least is not None:
        threshold, share = max(threshold, least), max(share, cascade.share(least))
    elif share <= 0:
        return light_route(cascade, request, models, "load", hardness=hardness)
    gate = Gate(name=cascade.gate, threshold=threshold, share=share, keeps_deadline=least is None)
    return Route(
        levels=(light_level(cascade, request, models), heavy_level(cascade, request, models)),
        gates=(gate,),
        cascade=cascade.name,
        reason="gate",
        hardness=hardness,
    )


def prompted(
    cascade: Cascade, request: ImageRequest, models: Mapping[str, ModelSpec], *, share: float, then_gated: bool
) -> Route:
    """Return the route by the cascade's router, which sends at most `share` of the prompts to the heavy model at once.

    If `then_gated`, the other prompts pass through the gate, with what is left of `share`, and the router sends no
    prompts below its own threshold. Otherwise they are for the light model alone.
    """
    router = cascade.router
    if router is None:
        return gated(cascade, request, models, threshold=cascade.threshold_within(share), share=share)
    hardness = router.hardness(request.prompt)
    threshold = router.threshold_within(share)
    if then_gated:
        threshold = max(threshold, router.threshold)
    if hardness >= threshold:
        return heavy_route(cascade, request, models, "prompt", hardness=hardness)
    if not then_gated:
        return light_route(cascade, request, models, "prompt", hardness=hardness)
    direct = router.share(threshold)
    rest = max(0.0, (share - direct) / (1 - direct)) if direct < 1 else 0.0
    at = cascade.threshold_within(rest)
    return gated(cascade, request, models, threshold=at, share=rest, hardness=hardness)


def light_route(
    cascade: Cascade,
    request: ImageRequest,
    models: Mapping[str, ModelSpec],
    reason: RouteReason,
    *,
    hardness: float | None = None,
) -> Route:
    """Return the route of the light model alone; raises RequestError as `level_on`."""
    level = light_level(cascade, request, models)
    return Route(levels=(level,), cascade=cascade.name, reason=reason, hardness=hardness)


def heavy_route(
    cascade: Cascade,
    request: ImageRequest,
    models: Mapping[str, ModelSpec],
    reason: RouteReason,
    *,
    hardness: float | None = None,
) -> Route:
    """Return the route of the heavy model alone; raises RequestError as `level_on`."""
    level = heavy_level(cascade, request, models)
    return Route(levels=(level,), cascade=cascade.name, reason=reason, hardness=hardness)


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
