"""Server-sent events as the official clients read them."""

import msgspec
from pydantic import BaseModel

KEEP_ALIVE = b": waiting\n\n"
"""A comment, so that nothing between here and the client takes a long wait for a dead connection."""


def server_sent(name: str, data: BaseModel | dict[str, dict[str, str | None]]) -> bytes:
    """Return one event with its JSON on one line."""
    text = data.model_dump_json().encode() if isinstance(data, BaseModel) else msgspec.json.encode(data)
    return b"event: " + name.encode() + b"\ndata: " + text + b"\n\n"
