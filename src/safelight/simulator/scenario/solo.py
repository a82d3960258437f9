"""What a request is alone on a worker, for deadlines in multiples of that time."""

from collections.abc import Callable
from dataclasses import dataclass

from safelight.simulator.scenario.request_kinds import Asked, Size


@dataclass(frozen=True, kw_only=True)
class SoloWork:
    """The work of one request.

    Attributes:
        steps: of the whole schedule; the first `first_step` are skipped.
        size: width and height in pixels.
        guidance_scale: None is the model's.
        has_source: whether it starts from a picture.
        has_loras: whether it uses any LoRA.
        controlnets: how many it uses.
    """

    model: str
    steps: int
    size: Size
    guidance_scale: float | None = None
    first_step: int = 0
    has_source: bool = False
    has_loras: bool = False
    controlnets: int = 0

    @classmethod
    def of(cls, asked: Asked, *, model: str, steps: int) -> "SoloWork":
        """Return the work of a request by one model with so many steps."""
        return cls(
            model=model,
            steps=steps,
            size=asked.size,
            guidance_scale=asked.guidance_scale,
            first_step=0 if asked.source is None else asked.source.first_step(steps),
            has_source=asked.source is not None,
            has_loras=bool(asked.loras),
            controlnets=len(asked.controlnets),
        )


SoloTime = Callable[[SoloWork], float]
"""Seconds of a request alone."""
