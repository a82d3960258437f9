"""Wire types of the adapter routes."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from safelight.server.wire.fields import Name


class AdapterRequest(BaseModel):
    """Body of `POST /v1/adapters`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Annotated[Name, Field(description="Of an adapter that lies in one of the server's folders.")]


class AdapterCard(BaseModel):
    """One adapter that requests may name; `pictures` counts the unfinished ones that use it."""

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
    """Answer of `DELETE /v1/adapters/{name}`; accepted pictures that use it are still painted."""

    id: str
    object: Literal["adapter"] = "adapter"
    deleted: Literal[True] = True
