"""What a client asks for: one picture per request."""

import math
from typing import Literal

import msgspec

from safelight.core.adapter import ControlNetUse, LoraUse
from safelight.core.reuse import Reuse, ReuseScope
from safelight.core.source import PictureSource

Quality = Literal["low", "medium", "high", "xhigh", "max"]

OnDeadline = Literal["finish", "expire"]


class ImageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One picture that a client asks for; a `Level` says how it is served.

    Attributes:
        id: unique name of this request.
        width, height: of the picture, in pixels.
        seed: of the initial noise. The same request gives the same picture in any batch, up to rounding; a
            deterministic worker gives the same bytes.
        model, steps, sampler, guidance_scale: what the client has set; levels must keep it. None leaves it to a policy.
        step_cache: how much a step may take over from earlier ones, as `Level.step_cache`; None takes over nothing.
        quality: of the picture, where the client does not set the steps.
        loras: in any order; the scales of a repeated one add up.
        grace_steps: how many steps may run without the LoRAs while they are being loaded.
        controlnets: each of them once.
        source: the picture to start from; None starts from noise.
        arrived_s: time of arrival on the service's clock.
        deadline_s: seconds after arrival by which the picture must be ready.
        on_deadline: what happens when the deadline passes: the picture is finished late, or it is given up.
        previews: how many previews are made, approximately; 0 for none.
        tenant: the user or application that asks.
        reuse: what of earlier pictures may serve it; unless `none`, its picture may serve later ones.
        reuse_scope: whose pictures.
        has_free_seed: whether the client has set no seed, so that an earlier picture's seed is as good.
        sibling: which picture of its call it is, counted from 0; `siblings` is how many there are.
        min_quality: the least probability that the picture is good enough, from 0 to 1, at which a gate may accept that
            of a light model; None leaves the threshold to the level policy.
        uses_cascade: whether a light model may paint it where the request names a cascade and no quality.
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
    step_cache: float | None = None
    guidance_scale: float | None = None
    quality: Quality = "medium"
    loras: tuple[LoraUse, ...] = ()
    grace_steps: int = 0
    controlnets: tuple[ControlNetUse, ...] = ()
    source: PictureSource | None = None
    deadline_s: float | None = None
    on_deadline: OnDeadline = "finish"
    previews: int = 0
    tenant: str = ""
    reuse: Reuse = "none"
    reuse_scope: ReuseScope = "private"
    has_free_seed: bool = False
    sibling: int = 0
    siblings: int = 1
    min_quality: float | None = None
    uses_cascade: bool = True

    @property
    def due_s(self) -> float:
        """Time on the service's clock by which the picture must be ready."""
        return math.inf if self.deadline_s is None else self.arrived_s + self.deadline_s

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of all ControlNets and LoRAs, each once; ControlNets first, since no step runs without them."""
        return tuple(dict.fromkeys((*(use.name for use in self.controlnets), *(use.name for use in self.loras))))

    @property
    def held_bytes(self) -> int:
        """Bytes of its input pictures in memory."""
        source = 0 if self.source is None else self.source.held_bytes
        return source + sum(use.image.held_bytes for use in self.controlnets)

    def without_pictures(self) -> "ImageRequest":
        """Return the request for records: without the bytes of its input pictures."""
        if not self.controlnets and self.source is None:
            return self
        emptied = tuple(msgspec.structs.replace(use, image=use.image.emptied()) for use in self.controlnets)
        source = None if self.source is None else self.source.emptied()
        return msgspec.structs.replace(self, controlnets=emptied, source=source)
