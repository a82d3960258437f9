"""The body of every error response."""

from pydantic import BaseModel


class ErrorBody(BaseModel):
    """An error: `code` and `param` are for programs, `message` is for people."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """The body of every error response."""

    error: ErrorBody
