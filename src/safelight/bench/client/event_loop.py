"""What drives a load: the event loop, and how many connections the process may have."""

import asyncio
from collections.abc import Callable
from contextlib import suppress


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes an event loop: uvloop's where it is installed, or None for asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 - there is none for Windows
    except ImportError:
        return None
    return uvloop.new_event_loop


def allow_connections() -> None:
    """Let the process have as many connections as the system allows it; most shells allow 1,024 at first."""
    try:
        import resource  # noqa: PLC0415 - of Unix only
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
