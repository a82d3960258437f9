"""From the options of a call to what an engine paints."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, get_args

from safelight.api.options import GenerationOptions, ImageInput, check_names, file_content, lora_scales
from safelight.core.adapter import ControlNetUse, LoraUse
from safelight.core.errors import InvalidParameter, nearest, shorten
from safelight.core.level import MAX_STEPS
from safelight.core.request import OnDeadline
from safelight.service.paint_request import MAX_PICTURES, MAX_PROMPT_CHARACTERS, MAX_SEED, QUALITIES, PaintRequest
from safelight.service.picture_files import OutputFormat
from safelight.service.pictures import Source, read_mask, read_picture

INFINITY: Final = float("inf")

LIMITS: Final[Mapping[str, tuple[type, float, float]]] = {
    "n": (int, 1, MAX_PICTURES),
    "seed": (int, 0, MAX_SEED),
    "steps": (int, 1, MAX_STEPS),
    "guidance_scale": (float, 0, INFINITY),
    "lora_grace_steps": (int, 0, MAX_STEPS),
    "deadline_s": (float, 0, INFINITY),
    "min_quality": (float, 0, 1),
    "output_compression": (int, 0, 100),
}
"""Options that are numbers: whole or not, the smallest and the largest."""


def check_options(options: GenerationOptions) -> None:
    """Check what needs no model.

    Raises:
        TypeError: if there is no option of some name.
        InvalidParameter: if a value is outside its limits.
    """
    check_names(options)
    if options.get("on_disconnect") is not None:
        raise InvalidParameter("on_disconnect", options["on_disconnect"], "only a server has clients; leave it out")
    for name, value in options.items():
        if name in LIMITS and value is not None:
            kind, least, most = LIMITS[name]
            number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
            is_whole = isinstance(number, int) or kind is float
            if not is_whole or not least <= number <= most or number == INFINITY:
                noun = "a whole number" if kind is int else "a number"
                span = f"from {least} to {most}" if most < INFINITY else f"of at least {least}"
                raise InvalidParameter(name, value, f"it is {noun} {span}")
    _check_choice("quality", options.get("quality"), tuple(filter(None, QUALITIES)))
    _check_choice("on_deadline", options.get("on_deadline"), get_args(OnDeadline))
    _check_choice("output_format", options.get("output_format"), get_args(OutputFormat))


def _check_choice(name: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise InvalidParameter(name, value, nearest(str(value), known).rstrip("."))


def paint_request(
    prompt: str,
    options: GenerationOptions,
    *,
    images: Sequence[ImageInput] = (),
    mask: ImageInput | None = None,
    strength: float | None = None,
) -> PaintRequest:
    """Return what to paint, with all pictures read.

    Raises:
        RequestError: if something cannot be painted like that.
        OSError: if a picture's path cannot be read.
    """
    if not prompt.strip():
        raise InvalidParameter("prompt", prompt, "it should say what to paint")
    for param, text in (("prompt", prompt), ("negative_prompt", options.get("negative_prompt") or "")):
        if len(text) > MAX_PROMPT_CHARACTERS:
            rule = f"of its {len(text):,} characters, at most {MAX_PROMPT_CHARACTERS:,} are allowed"
            raise InvalidParameter(param, text, rule)
    if strength is not None and not 0 < strength <= 1:
        raise InvalidParameter("strength", strength, "it is more than 0 and at most 1")
    width, height = _size(options.get("size"))
    painted = None if mask is None else read_mask(file_content(mask), param="mask", shown=shorten(mask))
    return PaintRequest(
        prompt=prompt,
        negative_prompt=options.get("negative_prompt") or "",
        model=options.get("model"),
        pictures=options.get("n") or 1,
        width=width,
        height=height,
        quality=QUALITIES[options.get("quality")],
        seed=options.get("seed"),
        steps=options.get("steps"),
        guidance_scale=options.get("guidance_scale"),
        sampler=options.get("sampler"),
        step_cache=options.get("step_cache"),
        loras=_loras(options.get("loras") or ()),
        grace_steps=options.get("lora_grace_steps") or 0,
        deadline_s=options.get("deadline_s"),
        on_deadline=options.get("on_deadline") or "finish",
        min_quality=options.get("min_quality"),
        uses_cascade=options.get("cascade") is not False,
        controlnets=tuple(_controlnet(name, use) for name, use in (options.get("controlnets") or {}).items()),
        sources=tuple(
            Source(picture=read_picture(file_content(image), param="image", shown=shorten(image)), mask=painted)
            for image in images
        ),
        strength=strength,
        previews=0,
    )


def _size(size: str | tuple[int, int] | None) -> tuple[int | None, int | None]:
    if size is None or size == "auto":
        return None, None
    sides = size.split("x") if isinstance(size, str) else size
    try:
        width, height = (int(side) for side in sides)
    except ValueError:
        raise InvalidParameter("size", size, "write WIDTHxHEIGHT, or (width, height) in pixels") from None
    if min(width, height) < 1:
        raise InvalidParameter("size", size, "both sides are at least one pixel")
    return width, height


def _loras(loras: Mapping[str, float] | Sequence[str]) -> tuple[LoraUse, ...]:
    scales = lora_scales(loras)
    return tuple(LoraUse(name=name, scale=_scale(f"loras[{name!r}]", scale)) for name, scale in scales.items())


def _controlnet(name: str, use: ImageInput | tuple[ImageInput, float]) -> ControlNetUse:
    image, scale = use if isinstance(use, tuple) else (use, 1.0)
    pixels = read_picture(file_content(image), param=f"controlnets[{name!r}]", shown=shorten(image))
    return ControlNetUse(name=name, scale=_scale(f"controlnets[{name!r}]", scale), image=pixels)


def _scale(param: str, scale: float) -> float:
    if not math.isfinite(scale):
        raise InvalidParameter(param, scale, "a scale is a finite number")
    return float(scale)
