"""What is asked for: one picture a request."""

import math

import msgspec


class ImageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One picture that somebody asked for, fully specified and already checked against its model.

    Attributes:
        id: unique name of this picture's request.
        steps: denoising steps.
        guidance_scale: strength of classifier-free guidance; 1 or less means none.
        seed: of the initial noise; the same seed gives the same picture whoever shares the batch.
        arrived_s: time of arrival on the driver's clock.
        deadline_s: seconds after arrival by which the picture must be ready.
        preview_every: a preview is made after every so many steps; 0 for none.
    """

    id: str
    model: str
    prompt: str
    negative_prompt: str = ""
    width: int
    height: int
    steps: int
    guidance_scale: float
    sampler: str
    seed: int
    arrived_s: float
    deadline_s: float | None = None
    preview_every: int = 0

    @property
    def due_s(self) -> float:
        """Time on the driver's clock by which the picture must be ready."""
        return math.inf if self.deadline_s is None else self.arrived_s + self.deadline_s

    @property
    def is_guided(self) -> bool:
        """Whether each step needs the denoiser with and without the prompt."""
        return self.guidance_scale > 1

    @property
    def denoiser_rows(self) -> int:
        """How many denoiser rows one step of this picture takes."""
        return 2 if self.is_guided else 1
