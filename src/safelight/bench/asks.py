"""What is sent: one ask for each request of a load."""

from typing import Literal, get_args

import msgspec

from safelight.bench.inputs import Input

Task = Literal["t2i", "i2i", "ti2i", "it2i", "t2v", "i2v", "ti2v", "v2v"]
"""Tasks by the names of vLLM-Omni's benchmark."""

TASKS: tuple[Task, ...] = get_args(Task)

CANONICAL = {
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


class Use(msgspec.Struct, frozen=True, gc=False):
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


class Ask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    loras: tuple[Use, ...] = ()
    controlnets: tuple[Use, ...] = ()
    inputs: tuple[Input, ...] = ()
    deadline_s: float | None = None
    service: str | None = None
    tenant: str | None = None
    extra: dict[str, object] | None = None

    @property
    def composition(self) -> str:
        """All adapters, as people write them, in whatever order they are asked for."""
        return " + ".join(sorted(use.name for use in (*self.controlnets, *self.loras))) or "none"
