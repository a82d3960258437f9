"""The body of every failure."""

from pydantic import BaseModel


class ErrorBody(BaseModel):
    """What went wrong: `code` and `param` are for programs, `message` is for people."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """Every failure has this shape."""

    error: ErrorBody
