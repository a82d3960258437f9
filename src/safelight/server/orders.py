"""From what a client wrote to what a worker paints: defaults filled in, limits of the model checked."""

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from safelight.core.adapter import ControlUse
from safelight.core.errors import InvalidParameter, UnknownModel, UnknownSampler
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.server.wire.fields import MAX_STEPS
from safelight.server.wire.options import PaintOptions
from safelight.server.wire.pictures import Source, fit

PREVIEWS = 8
"""About how many previews a picture gets on its way; streams and the queue show some of them."""

STEP_FACTORS = {"low": 0.5, "medium": 1.0, "high": 1.5, "xhigh": 2.0, "max": 2.0}
"""Steps of each quality, as a multiple of the model's own."""

STRENGTH, STRENGTH_WITHIN_MASK = 0.8, 1.0
"""How much of a picture is painted anew where nobody says."""

_RANDOM_SEEDS = 2**32


@dataclass(frozen=True, kw_only=True)
class Order:
    """One or more pictures as a client ordered them, before the model's own limits are known.

    `pictures` are painted from the prompt alone, or so many from each of `sources`.
    """

    prompt: str
    options: PaintOptions
    model: str | None = None
    pictures: int = 1
    width: int | None = None
    height: int | None = None
    quality: str = "medium"
    controls: tuple[ControlUse, ...] = ()
    sources: tuple[Source, ...] = ()
    strength: float | None = None


def find_model(name: str | None, models: Mapping[str, ModelSpec]) -> ModelSpec:
    """Return the model called `name`, or the first one for None; raises UnknownModel."""
    if name is None:
        return next(iter(models.values()))
    if name not in models:
        raise UnknownModel(name, tuple(models))
    return models[name]


def specify(order: Order, model: ModelSpec, *, arrived_s: float) -> tuple[ImageRequest, ...]:
    """Return one request for each picture ordered; raises InvalidParameter or UnknownSampler."""
    options = order.options
    _check_guidance(options, model)
    steps = options.num_inference_steps or _steps(order.quality, model)
    seed = secrets.randbelow(_RANDOM_SEEDS) if options.seed is None else options.seed
    plain = ImageRequest(
        id="",
        model=model.name,
        prompt=order.prompt,
        negative_prompt=options.negative_prompt or "",
        width=model.width,
        height=model.height,
        steps=steps,
        guidance_scale=model.guidance_scale if options.guidance_scale is None else options.guidance_scale,
        guidance=model.guidance,
        sampler=_sampler(options.sampler, model),
        seed=seed,
        arrived_s=arrived_s,
        deadline_s=options.deadline_s,
        loras=options.uses,
        grace_steps=options.lora_grace_steps or 0,
    )
    fitted = [_of_source(plain, source, order, model) for source in order.sources or (None,)]
    pictures = [request for request in fitted for _ in range(order.pictures)]
    return tuple(
        msgspec.structs.replace(request, id=f"img_{secrets.token_hex(12)}", seed=seed + number)
        for number, request in enumerate(pictures)
    )


def _of_source(request: ImageRequest, source: Source | None, order: Order, model: ModelSpec) -> ImageRequest:
    """Return the request with its size, and all that is fitted to it."""
    width, height = size = _size(order, source, model)
    start = None if source is None else source.fitted(size)
    first_step = 0 if source is None else _first_step(request.steps, source, order.strength)
    return msgspec.structs.replace(
        request,
        width=width,
        height=height,
        controls=tuple(msgspec.structs.replace(use, image=fit(use.image, size)) for use in order.controls),
        start=start,
        first_step=first_step,
        preview_every=max(1, (request.steps - first_step) // PREVIEWS),
    )


def _first_step(steps: int, source: Source, strength: float | None) -> int:
    """Return how many steps a picture stands for, as diffusers counts them; one at least is run."""
    if strength is None:
        strength = STRENGTH if source.mask is None else STRENGTH_WITHIN_MASK
    return steps - max(1, int(steps * strength))


def _check_guidance(options: PaintOptions, model: ModelSpec) -> None:
    if options.negative_prompt and model.guidance != "classifier-free":
        raise InvalidParameter(
            "negative_prompt",
            options.negative_prompt,
            f"{model.name} paints without the second look that a negative prompt needs; leave it out",
        )
    if options.guidance_scale is not None and options.guidance_scale > 1 and model.guidance == "none":
        raise InvalidParameter(
            "guidance_scale", options.guidance_scale, f"{model.name} was made to paint without guidance; leave it out"
        )


def _size(order: Order, source: Source | None, model: ModelSpec) -> tuple[int, int]:
    """Return the size asked for; else that of the picture to start from, if the model paints it; else the model's."""
    if order.width is None and order.height is None and source is not None and _is_paintable(source.size, model):
        return source.size
    size = order.width or model.width, order.height or model.height
    if _is_paintable(size, model):
        return size
    raise InvalidParameter(
        "size",
        "{}x{}".format(*size),
        f"{model.name} paints widths and heights that are multiples of {model.size_multiple} "
        f"from {model.size_multiple} to {model.max_side}",
    )


def _is_paintable(size: tuple[int, int], model: ModelSpec) -> bool:
    return all(side % model.size_multiple == 0 and side <= model.max_side for side in size)


def _steps(quality: str, model: ModelSpec) -> int:
    return min(MAX_STEPS, math.ceil(model.steps * STEP_FACTORS[quality]))


def _sampler(name: str | None, model: ModelSpec) -> str:
    if name is None:
        return model.sampler
    if name not in model.samplers:
        raise UnknownSampler(name, model.samplers)
    return name
