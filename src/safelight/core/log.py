"""Where events of a running service are noted for its operator."""

from typing import Protocol


class Log(Protocol):
    """A structured log: an event in a few words, and its facts."""

    def info(self, event: str, **facts: object) -> object: ...

    def warning(self, event: str, **facts: object) -> object: ...

    def error(self, event: str, **facts: object) -> object: ...
