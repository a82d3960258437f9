"""From what a client asks for to requests for single pictures: sizes chosen, pictures fitted, seeds drawn."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec

from safelight.control.levels.constraints import check_size, is_paintable
from safelight.core.adapter import ControlNetUse, LoraUse
from safelight.core.errors import InvalidParameter
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest, OnDeadline, Quality
from safelight.core.reuse import Reuse, ReuseScope
from safelight.core.source import PictureSource
from safelight.service.pictures import Source, fit

MAX_PROMPT_CHARACTERS: Final = 4000
MAX_PICTURES: Final = 10
MAX_SEED: Final = 2**53 - 1 - MAX_PICTURES
"""Every JSON parser keeps this number exact, and the seeds of further pictures of one call."""

QUALITIES: Final[Mapping[str | None, Quality]] = MappingProxyType(
    {
        None: "medium",
        "auto": "medium",
        "standard": "medium",
        "hd": "high",
        "low": "low",
        "medium": "medium",
        "high": "high",
        "xhigh": "xhigh",
        "max": "max",
    }
)
"""What clients may call a quality, in OpenAI's terms too."""

PREVIEWS = 8
"""Approximate number of previews of a picture; streams and the queue show some of them."""

_RANDOM_SEEDS = 2**32


@dataclass(frozen=True, kw_only=True)
class PaintRequest:
    """One or more pictures as one call asks for them, over HTTP or in process.

    `pictures` is the number of pictures: from the prompt alone, or from each of `sources`.
    """

    prompt: str
    negative_prompt: str = ""
    model: str | None = None
    pictures: int = 1
    width: int | None = None
    height: int | None = None
    quality: Quality = "medium"
    seed: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    sampler: str | None = None
    step_cache: float | None = None
    loras: tuple[LoraUse, ...] = ()
    grace_steps: int = 0
    deadline_s: float | None = None
    on_deadline: OnDeadline = "finish"
    min_quality: float | None = None
    uses_cascade: bool = True
    controlnets: tuple[ControlNetUse, ...] = ()
    sources: tuple[Source, ...] = ()
    strength: float | None = None
    previews: int = PREVIEWS
    reuse: Reuse = "none"
    reuse_scope: ReuseScope = "private"


def image_requests(paint: PaintRequest, model: ModelSpec, *, arrived_s: float) -> tuple[ImageRequest, ...]:
    """Return one request for each picture; `model`, the named or the default one, gives the default size.

    Raises:
        InvalidParameter: for a size that the model does not paint, and for text that is not valid Unicode.
    """
    _check_text("prompt", paint.prompt)
    _check_text("negative_prompt", paint.negative_prompt)
    seed = secrets.randbelow(_RANDOM_SEEDS) if paint.seed is None else paint.seed
    plain = ImageRequest(
        id="",
        prompt=paint.prompt,
        negative_prompt=paint.negative_prompt,
        width=model.width,
        height=model.height,
        seed=seed,
        arrived_s=arrived_s,
        model=None if paint.model is None else model.name,
        steps=paint.steps,
        sampler=paint.sampler,
        step_cache=paint.step_cache,
        guidance_scale=paint.guidance_scale,
        quality=paint.quality,
        loras=paint.loras,
        grace_steps=paint.grace_steps,
        deadline_s=paint.deadline_s,
        on_deadline=paint.on_deadline,
        min_quality=paint.min_quality,
        uses_cascade=paint.uses_cascade,
        previews=paint.previews,
        reuse=paint.reuse,
        reuse_scope=paint.reuse_scope,
        has_free_seed=paint.seed is None,
    )
    fitted = [_from_source(plain, source, paint, model) for source in paint.sources or (None,)]
    pictures = [request for request in fitted for _ in range(paint.pictures)]
    return tuple(
        msgspec.structs.replace(
            request, id=f"img_{secrets.token_hex(12)}", seed=seed + number, sibling=number, siblings=len(pictures)
        )
        for number, request in enumerate(pictures)
    )


def _check_text(param: str, text: str) -> None:
    """Refuse half a character, which no message to a worker can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidParameter(param, text, "it is not valid Unicode text") from None


def _from_source(plain: ImageRequest, source: Source | None, paint: PaintRequest, model: ModelSpec) -> ImageRequest:
    """Return the request with its size, and with input pictures fitted to it."""
    width, height = size = _size(paint, source, model)
    start = None
    if source is not None:
        image, mask = source.fitted(size)
        start = PictureSource(image=image, mask=mask, strength=paint.strength)
    return msgspec.structs.replace(
        plain,
        width=width,
        height=height,
        controlnets=tuple(msgspec.structs.replace(use, image=fit(use.image, size)) for use in paint.controlnets),
        source=start,
    )


def _size(paint: PaintRequest, source: Source | None, model: ModelSpec) -> tuple[int, int]:
    """Return the requested size; else that of the start picture, if the model paints it; else the model's."""
    if paint.width is None and paint.height is None and source is not None and is_paintable(*source.size, model):
        return source.size
    size = paint.width or model.width, paint.height or model.height
    check_size(*size, model)
    return size
