"""Wire types of the image routes, in the format of the official `openai` client, with our own fields added."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from safelight.core.request import Quality
from safelight.server.wire.fields import (
    Name,
    PartialImages,
    Percent,
    PictureData,
    Pictures,
    Prompt,
    QualityName,
    Size,
    Strength,
)
from safelight.server.wire.options import PaintOptions
from safelight.server.wire.provenance import Provenance, Usage
from safelight.service.paint_request import MAX_PICTURES, MAX_PROMPT_CHARACTERS
from safelight.service.picture_files import OutputFormat

_DEFAULT_MODEL = "A served model or cascade; the first one when it is left out."


class GenerationRequest(PaintOptions):
    """Body of `POST /v1/images/generations`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    INPUTS: ClassVar[tuple[str, ...]] = (*PaintOptions.INPUTS, "prompt", "user", "safety_identifier")

    prompt: Annotated[Prompt, Field(description=f"What to paint, in at most {MAX_PROMPT_CHARACTERS:,} characters.")]
    model: Annotated[Name | None, Field(description=_DEFAULT_MODEL)] = None
    n: Annotated[Pictures | None, Field(description="How many pictures; 1 when left out.")] = None
    size: Annotated[
        Size | None, Field(description='"WIDTHxHEIGHT" in pixels; "auto" is the size the model was trained at.')
    ] = None
    quality: Annotated[
        QualityName | None,
        Field(
            description="Chooses the number of steps, unless num_inference_steps does: low takes half the model's own "
            "number, medium, standard and auto take it, high and hd one and a half times, xhigh and max twice. "
            "Of a cascade: low is the light model alone, high and hd the heavy one alone, xhigh and max that with "
            "twice its steps; medium, standard and auto leave the choice to the cascade."
        ),
    ] = None
    output_format: Annotated[OutputFormat | None, Field(description="png when left out.")] = None
    output_compression: Annotated[
        Percent | None, Field(description="Quality of jpeg and webp, 100 when left out; png is always lossless.")
    ] = None
    response_format: Annotated[
        Literal["b64_json", "url"] | None,
        Field(description="b64_json when left out; a url is good while the server keeps the picture in memory."),
    ] = None
    stream: Annotated[
        bool | None, Field(description="Answer with server-sent events; for one picture, always as base64.")
    ] = None
    partial_images: Annotated[
        PartialImages | None, Field(description="How many previews a stream shows before the picture.")
    ] = None
    user: Annotated[str | None, Field(description="Tolerated; not used.")] = None
    safety_identifier: Annotated[str | None, Field(description="Tolerated; not used.")] = None
    background: Annotated[
        Literal["transparent", "opaque", "auto"] | None, Field(description="Tolerated; pictures are opaque.")
    ] = None
    moderation: Annotated[Literal["low", "auto"] | None, Field(description="Tolerated; not used.")] = None
    style: Annotated[Literal["vivid", "natural"] | None, Field(description="Tolerated; not used.")] = None
    complexity: Annotated[Literal["low", "medium", "high"] | None, Field(description="Tolerated; not used.")] = None


def _listed(value: object) -> object:
    """Turn one picture into a list of one."""
    return [value] if isinstance(value, str) else value


STRENGTH = (
    "How much of the picture is painted anew: the share of the steps that are run, so 1 keeps nothing of it. "
    "When left out, 0.8, and 1 within a mask."
)


class EditRequest(GenerationRequest):
    """Body of `POST /v1/images/edits`: as JSON with data URLs, or as a form with files and `image[]`."""

    INPUTS: ClassVar[tuple[str, ...]] = (
        *GenerationRequest.INPUTS,
        "image",
        "mask",
        "bot_task",
        "sys_type",
        "system_prompt",
    )

    image: Annotated[
        list[PictureData],
        FailFast(),
        Field(
            min_length=1,
            max_length=MAX_PICTURES,
            description="PNG, JPEG or WebP; one or several, each of which is edited and gives n pictures.",
        ),
        BeforeValidator(_listed),
    ]
    mask: Annotated[
        PictureData | None,
        Field(
            description="Where to paint: where it is transparent, or white if it has no transparency. The rest is kept."
        ),
    ] = None
    strength: Annotated[Strength | None, Field(description=STRENGTH)] = None
    input_fidelity: Annotated[Literal["high", "low"] | None, Field(description="Tolerated; not used.")] = None
    bot_task: Annotated[str | None, Field(description="Tolerated; not used.")] = None
    sys_type: Annotated[str | None, Field(description="Tolerated; not used.")] = None
    system_prompt: Annotated[str | None, Field(description="Tolerated; not used.")] = None


class Image(BaseModel):
    """One picture: inline, or where to get it."""

    b64_json: str | None = None
    url: str | None = None


class ImagesResponse(BaseModel):
    """Answer of `POST /v1/images/generations` and `POST /v1/images/edits`."""

    created: int
    background: Literal["opaque"] = "opaque"
    data: list[Image]
    output_format: OutputFormat
    quality: Quality
    size: str
    usage: Usage
    safelight: Provenance


class PartialImageEvent(BaseModel):
    """A preview on its way to the picture."""

    type: Literal["image_generation.partial_image", "image_edit.partial_image"]
    b64_json: str
    partial_image_index: int
    created_at: int
    background: Literal["opaque"] = "opaque"
    output_format: OutputFormat
    quality: Quality
    size: str


class CompletedEvent(BaseModel):
    """The picture, at the end of a stream."""

    type: Literal["image_generation.completed", "image_edit.completed"]
    b64_json: str
    created_at: int
    background: Literal["opaque"] = "opaque"
    output_format: OutputFormat
    quality: Quality
    size: str
    usage: Usage
    safelight: Provenance
