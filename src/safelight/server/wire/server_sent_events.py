"""Server-sent events in the format of the official clients."""

import msgspec
from pydantic import BaseModel

KEEP_ALIVE = b": waiting\n\n"
"""A comment, which keeps proxies from closing an idle connection."""


def server_sent(name: str, data: BaseModel | dict[str, dict[str, str | None]]) -> bytes:
    """Return one event with its JSON on one line."""
    text = data.model_dump_json().encode() if isinstance(data, BaseModel) else msgspec.json.encode(data)
    return b"event: " + name.encode() + b"\ndata: " + text + b"\n\n"
