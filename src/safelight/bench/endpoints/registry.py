"""All endpoints there are, and which one a task goes to."""

from safelight.bench.endpoints.chat import Chat
from safelight.bench.endpoints.edits import Edits
from safelight.bench.endpoints.endpoint import Endpoint
from safelight.bench.endpoints.generations import Generations, StreamedGenerations
from safelight.bench.endpoints.videos import Videos
from safelight.bench.errors import BadLoad
from safelight.bench.requests import Task
from safelight.core.errors import nearest, shorten

ENDPOINTS: tuple[Endpoint, ...] = (Chat(), Generations(), StreamedGenerations(), Edits(), Videos())

BACKENDS = {"vllm-omni": Chat.name, "openai": Generations.name}
"""Older words of vLLM-Omni's benchmark."""


def endpoint_for(task: Task, name: str | None) -> Endpoint:
    """Return the endpoint of that name, or where vLLM-Omni's benchmark sends the task.

    Raises:
        BadLoad: if there is none of that name.
    """
    wanted = _default(task) if name is None else f"/{name.lstrip('/')}"
    for endpoint in ENDPOINTS:
        if endpoint.name == wanted:
            return endpoint
    raise BadLoad(f"No endpoint is {shorten(name)}; {nearest(wanted, [each.name for each in ENDPOINTS])}")


def _default(task: Task) -> str:
    match task:
        case "t2i":
            return Chat.name
        case "i2i" | "ti2i" | "it2i":
            return Edits.name
    return Videos.name
