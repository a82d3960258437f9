"""Wire types of the reuse routes."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from safelight.service.paint_request import MAX_PROMPT_CHARACTERS


class ReuseSavings(BaseModel):
    """What reuse has saved since the server began, of all tenants."""

    lookups: dict[str, int]
    steps_saved: dict[str, int]
    seconds_saved: dict[str, float]


class ReuseView(BaseModel):
    """What is kept for reuse.

    `entries` and `size_bytes` are those of `tenant`, or of all for an administrator, whose `tenant` is null. `savings`
    is for administrators.
    """

    mode: Literal["off", "private", "shared"]
    tenant: str | None
    entries: int
    size_bytes: int
    limit_bytes: int
    oldest_s: float | None
    models: dict[str, int]
    savings: ReuseSavings | None


class PurgeRequest(BaseModel):
    """Body of `POST /v1/reuse/purge`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    tenant: Annotated[
        str | None,
        Field(max_length=64, description="Whose pictures; those of the key's tenant, or of all for an administrator."),
    ] = None
    prompt: Annotated[
        str | None,
        Field(max_length=MAX_PROMPT_CHARACTERS, description="Of this prompt only, which has to be equal; else all."),
    ] = None


class Purged(BaseModel):
    """How many earlier pictures were dropped."""

    dropped: int
