"""The body of the health routes."""

from typing import Literal

from pydantic import BaseModel


class Health(BaseModel):
    """Answer of the health routes."""

    status: Literal["alive", "ready"]
