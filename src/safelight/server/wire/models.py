"""Wire types of `GET /v1/models`."""

from typing import Literal

from pydantic import BaseModel


class ModelCard(BaseModel):
    """One served model, with what requests can set."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    safelight: "ModelAbilities"


class ModelLimits(BaseModel):
    """What a request may ask of a model at most; sides are in pixels and multiples of `size_multiple`."""

    max_prompt_chars: int
    max_images: int
    max_steps: int
    size_multiple: int
    min_side: int
    max_side: int
    max_loras: int
    max_controlnets: int


class CascadeParts(BaseModel):
    """What a cascade is made of.

    `threshold` is that of its gate where no policy chooses another one; painting more than `best_share` of the pictures
    by the heavy model made none better.
    """

    light: str
    heavy: str
    gate: str | None = None
    has_router: bool
    threshold: float
    best_share: float


class ModelAbilities(BaseModel):
    """What a request may ask of a model, the defaults, and the policies that choose what a request leaves open.

    `aliases` are further names that requests may call the model by; `policies` are names by family; `cascade` is there
    for a cascade.
    """

    aliases: list[str]
    limits: ModelLimits
    policies: dict[str, str]
    family: str
    size: str
    size_multiple: int
    max_side: int
    steps: int
    guidance_scale: float
    sampler: str
    samplers: list[str]
    cascade: CascadeParts | None = None


class ModelList(BaseModel):
    """Response of `GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[ModelCard]
