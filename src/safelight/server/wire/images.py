"""Wire types of the image routes, as the official `openai` client writes and reads them, with our own fields beside."""

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from safelight.core.adapter import AdapterUse
from safelight.server.wire.fields import (
    MAX_CONTROLS,
    MAX_LORAS,
    MAX_PICTURES,
    MAX_PROMPT_CHARACTERS,
    Deadline,
    GraceSteps,
    Guidance,
    Name,
    NegativePrompt,
    OnDisconnect,
    OutputFormat,
    PartialImages,
    Percent,
    PictureData,
    Pictures,
    Prompt,
    Quality,
    Scale,
    Seed,
    Size,
    Steps,
    Strength,
)

PlainQuality = Literal["low", "medium", "high", "xhigh", "max"]
"""What a quality asked for comes down to."""

_DEFAULT_MODEL = "A served model; the first one when it is left out."


class LoraChoice(BaseModel):
    """A LoRA by the name that it is registered under, and how strongly it acts; negative turns it round."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name
    scale: Scale = 1.0


class OmniLora(BaseModel):
    """One LoRA as vLLM-Omni's clients write it; it is found by its name, and a path beside it is not looked at."""

    model_config = ConfigDict(strict=True)

    name: Annotated[Name, Field(validation_alias=AliasChoices("name", "lora_name", "adapter"))]
    scale: Annotated[Scale, Field(validation_alias=AliasChoices("scale", "lora_scale"))] = 1.0


class ControlChoice(BaseModel):
    """A ControlNet by the name that it is registered under, and the picture that steers it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name
    scale: Scale = 1.0
    image: Annotated[PictureData, Field(description="PNG, JPEG or WebP as a data URL; it is fitted to the size.")]


class PaintOptions(BaseModel):
    """Safelight's own options, at the top level of a request as the official client's `extra_body` puts them."""

    model_config = ConfigDict(strict=True)

    seed: Annotated[
        Seed | None,
        Field(description="Seed of the first picture; further ones count up from it. Drawn at random when left out."),
    ] = None
    num_inference_steps: Annotated[
        Steps | None, Field(description="Denoising steps; the model's own number when left out.")
    ] = None
    guidance_scale: Annotated[
        Guidance | None, Field(description="Strength of classifier-free guidance; 1 or less means none.")
    ] = None
    negative_prompt: Annotated[NegativePrompt | None, Field(description="What guidance steers away from.")] = None
    sampler: Annotated[Name | None, Field(description="One of the model's samplers.")] = None
    loras: Annotated[
        list[LoraChoice] | None,
        Field(max_length=MAX_LORAS, description="LoRAs by name; the scales of one named twice add up."),
    ] = None
    lora: Annotated[OmniLora | None, Field(description="One more LoRA, in the shape of vLLM-Omni.")] = None
    lora_grace_steps: Annotated[
        GraceSteps | None,
        Field(
            description="The picture may begin without its LoRAs, at most for so many steps, while they are still "
            "being loaded; 0 when left out. The answer says for how many it did."
        ),
    ] = None
    controls: Annotated[
        list[ControlChoice] | None,
        Field(max_length=MAX_CONTROLS, description="ControlNets by name, each with its control picture."),
    ] = None
    deadline_s: Annotated[
        Deadline | None,
        Field(description="Seconds from now by which the picture is needed; refused at once when it cannot be met."),
    ] = None
    on_disconnect: Annotated[OnDisconnect, Field(description="What becomes of the work when the client goes away.")] = (
        "cancel"
    )

    @property
    def uses(self) -> tuple[AdapterUse, ...]:
        """All LoRAs asked for."""
        asked = [*(self.loras or ()), *([self.lora] if self.lora else ())]
        return tuple(AdapterUse(name=choice.name, scale=choice.scale) for choice in asked)


class GenerationRequest(PaintOptions):
    """Body of `POST /v1/images/generations`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    prompt: Annotated[Prompt, Field(description=f"What to paint, in at most {MAX_PROMPT_CHARACTERS:,} characters.")]
    model: Annotated[Name | None, Field(description=_DEFAULT_MODEL)] = None
    n: Annotated[Pictures | None, Field(description="How many pictures; 1 when left out.")] = None
    size: Annotated[
        Size | None, Field(description='"WIDTHxHEIGHT" in pixels; "auto" is the size the model was trained at.')
    ] = None
    quality: Annotated[
        Quality | None,
        Field(
            description="Chooses the number of steps, unless num_inference_steps does: low takes half the model's own "
            "number, medium, standard and auto take it, high and hd one and a half times, xhigh and max twice."
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

    image: Annotated[
        list[PictureData],
        BeforeValidator(_listed),
        Field(
            min_length=1,
            max_length=MAX_PICTURES,
            description="PNG, JPEG or WebP; one or several, each of which is edited and gives n pictures.",
        ),
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


class InputTokensDetails(BaseModel):
    """The tokens read, by kind."""

    image_tokens: int
    text_tokens: int


class Usage(BaseModel):
    """Tokens of the prompt that the model saw, and of pictures in and out: one for each smallest square it paints."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    total_tokens: int


class ControlUsed(BaseModel):
    """A ControlNet that steered a picture."""

    name: str
    scale: float


class PictureProvenance(BaseModel):
    """Where one picture came from; `steps_without_loras` ran before its LoRAs were loaded."""

    id: str
    seed: int
    worker: str | None = None
    queue_s: float
    compute_s: float
    total_s: float
    retries: int
    steps_without_loras: int


class Provenance(BaseModel):
    """Where the pictures came from: enough to paint them again, unless some steps ran without LoRAs.

    `seed` is the first picture's; of its `steps`, `steps_run` were run, fewer where it started from another picture.
    Of several pictures, `queue_s` is the longest wait; `compute_s` and `retries` are sums.
    """

    model: str
    steps: int
    steps_run: int
    seed: int
    sampler: str
    guidance_scale: float
    loras: list[LoraChoice]
    controls: list[ControlUsed]
    queue_s: float
    compute_s: float
    retries: int
    images: list[PictureProvenance]


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
    quality: PlainQuality
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
    quality: PlainQuality
    size: str


class CompletedEvent(BaseModel):
    """The picture, at the end of a stream."""

    type: Literal["image_generation.completed", "image_edit.completed"]
    b64_json: str
    created_at: int
    background: Literal["opaque"] = "opaque"
    output_format: OutputFormat
    quality: PlainQuality
    size: str
    usage: Usage
    safelight: Provenance


class ErrorBody(BaseModel):
    """What went wrong: `code` and `param` are for programs, `message` is for people."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """Every failure has this shape."""

    error: ErrorBody


class ModelCard(BaseModel):
    """One served model, with what a request may ask of it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    safelight: "ModelAbilities"


class ModelAbilities(BaseModel):
    """What a request may ask of a model, and what a silent one gets."""

    family: str
    size: str
    size_multiple: int
    max_side: int
    steps: int
    guidance_scale: float
    sampler: str
    samplers: list[str]


class ModelList(BaseModel):
    """Answer of `GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Health(BaseModel):
    """Answer of the health routes."""

    status: Literal["alive", "ready"]


class QueueEntry(BaseModel):
    """One picture that waits or is being painted; `preview` is a PNG data URL of its latest state."""

    id: str
    prompt: str
    model: str
    state: Literal["waiting", "running"]
    step: int
    steps: int
    age_s: float
    expected_s: float | None
    worker: str | None
    preview: str | None


class WorkerEntry(BaseModel):
    """One worker process and how many pictures it holds."""

    name: str
    models: list[str]
    rows: int
    state: Literal["starting", "ready"]


class QueueView(BaseModel):
    """Answer of `GET /v1/queue`; rates and latencies are over the last minute."""

    requests: list[QueueEntry]
    workers: list[WorkerEntry]
    waiting: int
    running: int
    throughput_per_s: float
    latency_p50_s: float | None
    latency_p95_s: float | None


class Cancellation(BaseModel):
    """Answer of `POST /v1/queue/{id}/cancel`."""

    id: str
    state: Literal["cancelled"] = "cancelled"


class AdapterRequest(BaseModel):
    """Body of `POST /v1/adapters`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Annotated[Name, Field(description="Of an adapter that lies in one of the server's folders.")]


class AdapterCard(BaseModel):
    """One adapter that requests may name; `pictures` that use it are on their way."""

    id: str
    object: Literal["adapter"] = "adapter"
    kind: Literal["lora", "controlnet"]
    model: str
    ranks: list[int]
    parts: list[str]
    weights_bytes: int
    pictures: int


class AdapterList(BaseModel):
    """Answer of `GET /v1/adapters`."""

    object: Literal["list"] = "list"
    data: list[AdapterCard]


class AdapterRemoval(BaseModel):
    """Answer of `DELETE /v1/adapters/{name}`; pictures that use it already are still painted."""

    id: str
    object: Literal["adapter"] = "adapter"
    deleted: Literal[True] = True
