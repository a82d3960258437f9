"""Makes image requests from a validated body."""

from typing import TypedDict

from safelight.core.adapter import LoraUse
from safelight.core.errors import RequestError
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest, OnDeadline
from safelight.core.reuse import Reuse, ReuseScope
from safelight.server.wire.chat import ChatOptions, ChatRequest
from safelight.server.wire.images import EditRequest, GenerationRequest
from safelight.server.wire.options import PaintOptions
from safelight.server.wire.pictures import read_controls, read_sources
from safelight.service.paint_request import MAX_PROMPT_CHARACTERS, QUALITIES, PaintRequest, image_requests


def requests_of_images(body: GenerationRequest, model: ModelSpec, arrived_s: float) -> tuple[ImageRequest, ...]:
    """Return one request for each picture, with the pictures in the body decoded and resized.

    Raises:
        RequestError: if `model` cannot paint one of them.
    """
    width, _, height = (body.size or "auto").replace("auto", "").partition("x")
    edit = body if isinstance(body, EditRequest) else None
    paint = PaintRequest(
        **_options(body),
        prompt=body.prompt,
        model=body.model,
        pictures=body.n or 1,
        width=int(width) if width else None,
        height=int(height) if height else None,
        quality=QUALITIES[body.quality],
        controlnets=read_controls(body.controls or ()),
        sources=() if edit is None else read_sources(edit.image, edit.mask, param="image"),
        strength=None if edit is None else edit.strength,
    )
    return image_requests(paint, model, arrived_s=arrived_s)


def requests_of_chat(body: ChatRequest, model: ModelSpec, arrived_s: float) -> tuple[ImageRequest, ...]:
    """Return one request for each choice, with the picture in the message decoded and resized.

    Raises:
        RequestError: if `model` cannot paint one of them.
    """
    options = options_of_chat(body)
    paint = PaintRequest(
        **_options(options),
        prompt=body.last_user_message.text,
        model=body.model,
        pictures=body.n or 1,
        width=options.width,
        height=options.height,
        controlnets=read_controls(options.controls or ()),
        sources=read_sources(body.last_user_message.pictures, None, param="image_url"),
        strength=options.strength,
    )
    return image_requests(paint, model, arrived_s=arrived_s)


class _Options(TypedDict):
    negative_prompt: str
    seed: int | None
    steps: int | None
    guidance_scale: float | None
    sampler: str | None
    step_cache: float | None
    loras: tuple[LoraUse, ...]
    grace_steps: int
    deadline_s: float | None
    on_deadline: OnDeadline
    min_quality: float | None
    uses_cascade: bool
    reuse: Reuse
    reuse_scope: ReuseScope


def _options(options: PaintOptions) -> _Options:
    """Return what all routes take, as a `PaintRequest` calls it."""
    return _Options(
        negative_prompt=options.negative_prompt or "",
        seed=options.seed,
        steps=options.num_inference_steps,
        guidance_scale=options.guidance_scale,
        sampler=options.sampler,
        step_cache=options.step_cache,
        loras=options.uses,
        grace_steps=options.lora_grace_steps or 0,
        deadline_s=options.deadline_s,
        on_deadline=options.on_deadline or "finish",
        min_quality=options.min_quality,
        uses_cascade=options.cascade is not False,
        reuse=options.reuse or "none",
        reuse_scope=options.reuse_scope or "private",
    )


def options_of_chat(body: ChatRequest) -> ChatOptions:
    """Merge the options at the top level with those in `extra_body`; raises RequestError for one that is in both."""
    if body.extra_body is None:
        return body
    names = set(ChatOptions.model_fields)
    nested = body.extra_body.model_fields_set & names
    flat = body.model_fields_set & names
    if both := sorted(nested & flat):
        raise RequestError(
            f"{both[0]} is given at the top level and in extra_body; give it once.",
            param=both[0],
            code="duplicate_parameter",
        )
    return ChatOptions.model_construct(
        flat | nested,
        **{name: getattr(body.extra_body if name in nested else body, name) for name in names},
    )


def check_message(body: ChatRequest) -> None:
    """Raise RequestError for a message whose parts together are too long a prompt, or with more than one picture."""
    prompt, pictures = body.last_user_message.text, body.last_user_message.pictures
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise RequestError(
            f"The prompt has {len(prompt):,} characters, of which at most {MAX_PROMPT_CHARACTERS} are allowed.",
            param="messages",
            code="invalid_value",
        )
    if len(pictures) > 1:
        raise RequestError(
            f"The message has {len(pictures)} pictures; a picture starts from one. /v1/images/edits takes several.",
            param="messages",
            code="invalid_value",
        )
