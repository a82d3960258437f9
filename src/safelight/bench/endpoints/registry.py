"""The family of endpoints, and the default of each task."""

from functools import cache

from safelight.bench.endpoints.chat import Chat
from safelight.bench.endpoints.edits import Edits
from safelight.bench.endpoints.endpoint import Endpoint
from safelight.bench.endpoints.generations import Generations, StreamedGenerations
from safelight.bench.endpoints.videos import Videos
from safelight.bench.errors import BadLoad
from safelight.bench.requests import Task
from safelight.core.entry_points import with_installed
from safelight.core.errors import nearest, shorten

ENDPOINTS: tuple[Endpoint, ...] = (Chat(), Generations(), StreamedGenerations(), Edits(), Videos())

BACKENDS = {"vllm-omni": Chat.name, "openai": Generations.name}
"""Names that vLLM-Omni's benchmark used before it had endpoints."""


@cache
def endpoints() -> tuple[Endpoint, ...]:
    """Return our own endpoints, then installed ones; raises ExtensionError."""
    return with_installed("safelight.endpoints", ENDPOINTS)


def endpoint_for(task: Task, name: str | None) -> Endpoint:
    """Return the endpoint of that name, or by default the one that vLLM-Omni's benchmark uses for the task.

    Raises:
        BadLoad: if there is no such endpoint.
        ExtensionError: if an installed endpoint cannot be loaded.
    """
    wanted = _default(task) if name is None else f"/{name.lstrip('/')}"
    for endpoint in endpoints():
        if endpoint.name in {name, wanted}:
            return endpoint
    raise BadLoad(f"No endpoint is {shorten(name)}; {nearest(wanted, [each.name for each in endpoints()])}")


def _default(task: Task) -> str:
    match task:
        case "t2i":
            return Chat.name
        case "i2i" | "ti2i" | "it2i":
            return Edits.name
    return Videos.name
