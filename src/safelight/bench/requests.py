"""The requests of a load."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import msgspec

from safelight.bench.media.inputs import Input
from safelight.bench.media.shape import Shape

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
"""Their names in the table of traces."""


class RequestedAdapter(msgspec.Struct, frozen=True, gc=False):
    """An adapter that a request asks for."""

    name: str
    scale: float | None = None


class LoadRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request of a load.

    Attributes:
        request_id: unique within the load.
        due_s: when it should be sent, in seconds since the start of the load.
        inputs: its own pictures and videos to start from; they replace `RequestOptions.default_inputs`.
        deadline_s: seconds after `due_s` by which the answer must arrive.
        extra: fields that are added to its body.
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
        """Names of all adapters, sorted, for display."""
        return " + ".join(sorted(adapter.name for adapter in (*self.controlnets, *self.loras))) or "none"


MOST_NAMED = 16
NOT_WORK = frozenset({"request_id", "due_s", "deadline_s", "service", "tenant"})
"""Fields that do not change the work that a request causes."""


def load_facts_of(
    requests: Sequence[LoadRequest], *, default_inputs: Sequence[Input], controlnet_images: Mapping[str, Input]
) -> dict[str, object]:
    """Return facts that are equal for two loads of the same work.

    Args:
        requests: the load; the fields of `NOT_WORK` are ignored.
        default_inputs: what requests without own inputs start from.
        controlnet_images: the picture of each ControlNet, by its name.
    """
    return {
        "sizes": _named(request.shape.size for request in requests),
        "steps": _named(request.shape.steps or "as served" for request in requests),
        "adapters": _named(adapter.name for request in requests for adapter in (*request.controlnets, *request.loras)),
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
        fields = msgspec.structs.asdict(request) | {"inputs": names(request.inputs)}
        sent = {name: value for name, value in fields.items() if name not in NOT_WORK}
        found.update(json.dumps(sent, sort_keys=True, default=msgspec.structs.astuple).encode())
    return found.hexdigest()
