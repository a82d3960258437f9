"""What is asked for: one picture a request."""

import math
from typing import Literal

import msgspec

from safelight.core.adapter import ControlNetUse, LoraUse
from safelight.core.source import PictureSource

Quality = Literal["low", "medium", "high", "xhigh", "max"]


class ImageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One picture that somebody asked for; how it is served is a `Level`.

    Attributes:
        id: unique name of this picture's request.
        width, height: of the picture, in pixels.
        seed: of the initial noise; the same seed gives the same picture whoever shares the batch.
        model, steps, sampler, guidance_scale: what the client has set; a level keeps to it. None leaves it to a policy.
        quality: what the client wants spent on the picture, where it does not say how.
        loras: in any order; the same one twice adds up.
        grace_steps: at most so many steps may run without the LoRAs, while those are still on their way.
        controlnets: each of them once.
        source: the picture that it starts from; None starts from noise.
        arrived_s: time of arrival on the driver's clock.
        deadline_s: seconds after arrival by which the picture must be ready.
        previews: about how many previews are made on the way; 0 for none.
        tenant: on whose behalf.
        allows_reuse: whether other pictures may start from this one's latents, and this one from theirs.
    """

    id: str
    prompt: str
    negative_prompt: str = ""
    width: int
    height: int
    seed: int
    arrived_s: float
    model: str | None = None
    steps: int | None = None
    sampler: str | None = None
    guidance_scale: float | None = None
    quality: Quality = "medium"
    loras: tuple[LoraUse, ...] = ()
    grace_steps: int = 0
    controlnets: tuple[ControlNetUse, ...] = ()
    source: PictureSource | None = None
    deadline_s: float | None = None
    previews: int = 0
    tenant: str = ""
    allows_reuse: bool = False

    @property
    def due_s(self) -> float:
        """Time on the driver's clock by which the picture must be ready."""
        return math.inf if self.deadline_s is None else self.arrived_s + self.deadline_s

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of all ControlNets and LoRAs, each once; no step runs without the former, so they come first."""
        return tuple(dict.fromkeys((*(use.name for use in self.controlnets), *(use.name for use in self.loras))))

    @property
    def held_bytes(self) -> int:
        """What its pictures take in memory, for as long as it waits."""
        source = 0 if self.source is None else self.source.held_bytes
        return source + sum(use.image.held_bytes for use in self.controlnets)

    def without_pictures(self) -> "ImageRequest":
        """Return the request as records keep it: without the bytes of control pictures and of what it starts from."""
        if not self.controlnets and self.source is None:
            return self
        emptied = tuple(msgspec.structs.replace(use, image=use.image.emptied()) for use in self.controlnets)
        source = None if self.source is None else self.source.emptied()
        return msgspec.structs.replace(self, controlnets=emptied, source=source)
