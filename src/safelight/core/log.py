"""The protocol of logs, and what a user can choose about them."""

from typing import Final, Literal, Protocol

LogForm = Literal["auto", "console", "json"]
"""`auto` is text at a terminal, else JSON."""

LogLevel = Literal["debug", "info", "warning", "error"]

DEFAULT_LOG_FORM: Final = "auto"
DEFAULT_LOG_LEVEL: Final = "info"


class Log(Protocol):
    """A structured log: each entry has a short event and its fields."""

    def debug(self, event: str, **facts: object) -> object: ...

    def info(self, event: str, **facts: object) -> object: ...

    def warning(self, event: str, **facts: object) -> object: ...

    def error(self, event: str, **facts: object) -> object: ...
