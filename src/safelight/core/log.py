"""The protocol of logs."""

from typing import Protocol


class Log(Protocol):
    """A structured log: each entry has a short event and its fields."""

    def info(self, event: str, **facts: object) -> object: ...

    def warning(self, event: str, **facts: object) -> object: ...

    def error(self, event: str, **facts: object) -> object: ...
