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


class ModelAbilities(BaseModel):
    """What requests can set for a model, and the defaults."""

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
