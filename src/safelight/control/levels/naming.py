"""What a request may name: models, and cascades as if they were models."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from safelight.cascade.cascade import Cascade
from safelight.control.levels.constraints import is_paintable
from safelight.core.model import ModelSpec


def named(models: Mapping[str, ModelSpec], cascades: Sequence[Cascade]) -> Mapping[str, ModelSpec]:
    """Return what requests may name, the default first; a cascade is there as soon as both its models are served.

    A cascade paints what both of its models paint, at the light model's size.
    """
    specs = {
        cascade.name: _as_model(cascade, models[cascade.light], models[cascade.heavy])
        for cascade in cascades
        if cascade.light in models and cascade.heavy in models
    }
    takes_unnamed = any(cascade.takes_unnamed for cascade in cascades[:1])
    return {**specs, **models} if takes_unnamed else {**models, **specs}


def _as_model(cascade: Cascade, light: ModelSpec, heavy: ModelSpec) -> ModelSpec:
    return msgspec.structs.replace(
        heavy,
        name=cascade.name,
        width=light.width,
        height=light.height,
        size_multiple=math.lcm(light.size_multiple, heavy.size_multiple),
        max_side=min(light.max_side, heavy.max_side),
        samplers=tuple(sampler for sampler in heavy.samplers if sampler in light.samplers),
    )


def unlike(cascade: Cascade, models: Mapping[str, ModelSpec]) -> str | None:
    """Return why both models of a cascade cannot paint for each other, or None if they can, or are not known yet."""
    light, heavy = models.get(cascade.light), models.get(cascade.heavy)
    if light is None or heavy is None or is_paintable(light.width, light.height, heavy):
        return None
    size = f"{light.width}x{light.height}, the size of {light.name!r}"
    return f"The cascade {cascade.name!r} is of unlike models: {heavy.name!r} does not paint {size}."
