"""What is sent: one ask for each request of a load."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import msgspec

from safelight.bench.media.inputs import Input

Task = Literal["t2i", "i2i", "ti2i", "it2i", "t2v", "i2v", "ti2v", "v2v"]
"""Tasks by the names of vLLM-Omni's benchmark."""

TASKS: tuple[Task, ...] = get_args(Task)

TRACE_TASK_NAMES = {
    "t2i": "text-to-image",
    "i2i": "image-to-image",
    "ti2i": "image-to-image",
    "it2i": "image-to-image",
    "t2v": "text-to-video",
    "i2v": "image-to-video",
    "ti2v": "image-to-video",
    "v2v": "video-to-video",
}
"""What the table of traces calls them."""


class RequestedAdapter(msgspec.Struct, frozen=True, gc=False):
    """An adapter that a request asks for."""

    name: str
    scale: float | None = None


class Shape(msgspec.Struct, frozen=True, gc=False):
    """What the work of a request depends on; None is left to the server."""

    width: int | None = None
    height: int | None = None
    frames: int | None = None
    steps: int | None = None

    @property
    def size(self) -> str:
        """How wide and high, and of how many frames if there are several, as people write it."""
        if self.width is None or self.height is None:
            return "as served"
        return f"{self.width}x{self.height}" + (f"x{self.frames}" if self.frames else "")

    @property
    def words(self) -> str:
        """The shape for people."""
        return self.size + (f", {self.steps} steps" if self.steps else "")


class LoadRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request, as a user would put it.

    Attributes:
        request_id: unique within the load.
        due_s: when it is to be sent, in seconds from the load's start.
        inputs: pictures and videos of its own to start from, in place of those that all requests have.
        deadline_s: seconds after `due_s` by which the answer must be there.
        extra: more fields of the body, over those that all requests have.
    """

    request_id: str
    due_s: float = 0.0
    prompt: str
    negative_prompt: str | None = None
    shape: Shape = Shape()
    seed: int | None = None
    fps: int | None = None
    guidance_scale: float | None = None
    loras: tuple[RequestedAdapter, ...] = ()
    controlnets: tuple[RequestedAdapter, ...] = ()
    inputs: tuple[Input, ...] = ()
    deadline_s: float | None = None
    service: str | None = None
    tenant: str | None = None
    extra: dict[str, object] | None = None

    @property
    def composition(self) -> str:
        """All adapters, as people write them, in whatever order they are asked for."""
        return " + ".join(sorted(use.name for use in (*self.controlnets, *self.loras))) or "none"


MOST_NAMED = 16
NOT_WORK = frozenset({"request_id", "due_s", "deadline_s", "service", "tenant"})
"""What tells of a request, and does not change what a server has to do for it."""


def load_facts_of(
    requests: Sequence[LoadRequest], *, default_inputs: Sequence[Input], controlnet_images: Mapping[str, Input]
) -> dict[str, object]:
    """Return what requests are like, by which other loads know that theirs are too.

    Args:
        asks: of which `NOT_WORK` does not count.
        starts: what requests start from that have nothing of their own.
        controls: what ControlNets get, by their names.
    """
    return {
        "sizes": _named(request.shape.size for request in requests),
        "steps": _named(request.shape.steps or "as served" for request in requests),
        "adapters": _named(use.name for request in requests for use in (*request.controlnets, *request.loras)),
        "load_sha256": _digest(requests, default_inputs, controlnet_images),
    }


def _named(values: Iterable[str | int]) -> Sequence[str | int]:
    found = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    return found if len(found) <= MOST_NAMED else [*found[:MOST_NAMED], f"and {len(found) - MOST_NAMED:,} more"]


def _digest(
    requests: Sequence[LoadRequest], default_inputs: Sequence[Input], controlnet_images: Mapping[str, Input]
) -> str:
    known = dict[Input, str]()

    def names(inputs: Sequence[Input]) -> Sequence[str]:
        for each in inputs:
            if each not in known:
                known[each] = hashlib.sha256(each.content).hexdigest() if each.content else each.name
        return [known[each] for each in inputs]

    in_common = [names(default_inputs), {name: names([each]) for name, each in controlnet_images.items()}]
    found = hashlib.sha256(json.dumps(in_common, sort_keys=True).encode())
    for request in requests:
        told = msgspec.structs.asdict(request) | {"inputs": names(request.inputs)}
        sent = {name: value for name, value in told.items() if name not in NOT_WORK}
        found.update(json.dumps(sent, sort_keys=True, default=msgspec.structs.astuple).encode())
    return found.hexdigest()
