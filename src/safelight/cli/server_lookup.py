"""Finds the server that a command uses."""

from safelight.api.errors import NoAnswer, NotSafelight
from safelight.oneshot.server import greet

DEFAULT_SERVER = "http://127.0.0.1:8000"


def address_of(server: str | None) -> str:
    """Return the address of the named server, or the default address on this machine."""
    return (server or DEFAULT_SERVER).rstrip("/")


def is_served(server: str | None, *, api_key: str | None) -> bool:
    """Return whether a Safelight server answers.

    Raises:
        ServerError: if one was named and is not there, or if it wants another key.
    """
    try:
        greet(address_of(server), api_key=api_key)
    except (NoAnswer, NotSafelight):
        if server is not None:
            raise
        return False
    return True
