"""What is asked for: one picture a request."""

import math

import msgspec

from safelight.core.adapter import AdapterUse, Composition, ControlUse, composition_of
from safelight.core.model import Guidance
from safelight.core.start import LatentsStart, PictureStart


class ImageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One picture that somebody asked for, fully specified and already checked against its model.

    Attributes:
        id: unique name of this picture's request.
        steps: denoising steps.
        guidance_scale: strength of guidance; 1 or less means none where it is classifier-free.
        guidance: how its model is guided.
        seed: of the initial noise; the same seed gives the same picture whoever shares the batch.
        arrived_s: time of arrival on the driver's clock.
        deadline_s: seconds after arrival by which the picture must be ready.
        preview_every: a preview is made after every so many steps; 0 for none.
        loras: in any order; the same one twice adds up.
        grace_steps: at most so many steps may run without the LoRAs, while those are still on their way.
        controls: ControlNets, each of them once.
        start: what it starts from, noised to the level of `first_step`; pure noise where there is nothing.
        first_step: how many of its steps are skipped, since the start stands for them.
        captures: noise levels at which the estimate of the picture is handed out, each at the first step not above it.
    """

    id: str
    model: str
    prompt: str
    negative_prompt: str = ""
    width: int
    height: int
    steps: int
    guidance_scale: float
    guidance: Guidance = "classifier-free"
    sampler: str
    seed: int
    arrived_s: float
    deadline_s: float | None = None
    preview_every: int = 0
    loras: tuple[AdapterUse, ...] = ()
    grace_steps: int = 0
    controls: tuple[ControlUse, ...] = ()
    start: PictureStart | LatentsStart | None = None
    first_step: int = 0
    captures: tuple[float, ...] = ()

    @property
    def steps_to_run(self) -> int:
        """How many of its steps are run."""
        return self.steps - self.first_step

    @property
    def due_s(self) -> float:
        """Time on the driver's clock by which the picture must be ready."""
        return math.inf if self.deadline_s is None else self.arrived_s + self.deadline_s

    @property
    def is_guided(self) -> bool:
        """Whether each step needs the denoiser with and without the prompt."""
        return self.guidance == "classifier-free" and self.guidance_scale > 1

    @property
    def denoiser_rows(self) -> int:
        """How many denoiser rows one step of this picture takes."""
        return 2 if self.is_guided else 1

    @property
    def composition(self) -> Composition:
        """What its LoRAs come to together."""
        return composition_of(self.loras)

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of all ControlNets and LoRAs that it needs; no step runs without the former, so they come first."""
        return (*(control.name for control in self.controls), *self.composition.names)

    @property
    def held_bytes(self) -> int:
        """What its pictures take in memory, for as long as it waits."""
        start = 0 if self.start is None else self.start.held_bytes
        return start + sum(use.image.held_bytes for use in self.controls)

    def without_loras(self) -> "ImageRequest":
        """Return the request for the same picture without its LoRAs."""
        return msgspec.structs.replace(self, loras=())

    def without_pictures(self) -> "ImageRequest":
        """Return the request as records keep it: without the bytes of control pictures and of what it starts from."""
        if not self.controls and self.start is None:
            return self
        emptied = (msgspec.structs.replace(use, image=use.image.emptied()) for use in self.controls)
        start = None if self.start is None else self.start.emptied()
        return msgspec.structs.replace(self, controls=tuple(emptied), start=start)
