"""Who sent a request, as the key guard has noted it."""

from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from safelight.access.caller import Caller

LONGEST_PEER: Final = 64
"""Characters; a proxy may forward whatever it was sent."""


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who did something, and by which request.

    Attributes:
        request_id: of the answer's `x-request-id`; clients may choose it, so two requests can share one.
    """

    caller: Caller
    peer: str
    request_id: str


def actor_of(scope: Scope) -> Actor:
    """Return who sent a request that has a caller."""
    state = scope["state"]
    return Actor(caller=state["caller"], peer=peer_of(scope), request_id=state.get("request_id", ""))


def caller_of(scope: Scope) -> Caller:
    """Return the sender of a request that has passed the key guard."""
    caller: Caller = scope["state"]["caller"]
    return caller


def peer_of(scope: Scope) -> str:
    """Return the address of the client; behind a proxy on this machine, the one that it forwards."""
    client = scope.get("client")
    return str(client[0])[:LONGEST_PEER] if client else "unknown"
