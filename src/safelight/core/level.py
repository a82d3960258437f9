"""How a request is served: levels, and the route through them."""

from typing import Final, Literal

import msgspec

from safelight.core.model import Guidance
from safelight.core.source import LatentsHandle

MAX_STEPS: Final = 200


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """How one stage of a request is served.

    Attributes:
        steps: denoising steps of the whole schedule.
        guidance_scale: strength of guidance; 1 or less means none where it is classifier-free.
        guidance: how the model is guided.
        start: earlier latents that the stage starts from; None starts from the request's own picture, or from noise.
        first_step: how many steps are skipped, because the start replaces them.
        step_cache: steps take over the prediction of an earlier one while it would have changed by a smaller share;
            0 computes every step.
        captures: noise levels at which the estimate is captured, each at the first step at or below it.
    """

    model: str
    steps: int
    guidance_scale: float
    guidance: Guidance = "classifier-free"
    sampler: str
    start: LatentsHandle | None = None
    first_step: int = 0
    captures: tuple[float, ...] = ()
    step_cache: float = 0.0

    @property
    def steps_to_run(self) -> int:
        return self.steps - self.first_step

    @property
    def is_guided(self) -> bool:
        """Whether each step needs the denoiser with and without the prompt."""
        return self.guidance == "classifier-free" and self.guidance_scale > 1

    @property
    def denoiser_rows(self) -> int:
        """How many denoiser rows one step of this picture takes."""
        return 2 if self.is_guided else 1


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """Accepts the picture of a stage if its score is at least `threshold`.

    A picture without a score is not accepted.

    Attributes:
        name: of the gate in the worker that scores the picture; None if nothing does.
        share: of the pictures that it is expected not to accept.
        keeps_deadline: whether a picture that it does not accept is the answer all the same if the next stage would
            miss the deadline.
    """

    name: str | None = None
    threshold: float
    share: float = 1.0
    keeps_deadline: bool = False

    def accepts(self, score: float | None) -> bool:
        return score is not None and score >= self.threshold


RouteReason = Literal["asked", "unfit", "prompt", "gate", "random", "load", "policy"]
"""Why a request passes through these levels.

`asked`: its client left no choice. `unfit`: no gate was trained for what it asks for. `prompt`: a router judged its
prompt. `gate`: a gate decides. `random`: drawn. `load`: the load leaves no room for the heavy model. `policy`: the
policy always does so.
"""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The levels that a request may pass through, and the gate after each but the last.

    Attributes:
        cascade: the name of the cascade whose models these are; None without one.
        reason: why these levels were chosen.
        hardness: of the prompt, by the cascade's router: the probability that a light picture will not be good enough.
    """

    levels: tuple[Level, ...]
    gates: tuple[Gate, ...] = ()
    cascade: str | None = None
    reason: RouteReason = "asked"
    hardness: float | None = None

    def __post_init__(self) -> None:
        assert len(self.gates) == len(self.levels) - 1, "a route has a gate between each two levels"

    def ends_at(self, stage: int, score: float | None) -> bool:
        """Return whether a picture of this stage, counted from 0, with this score is the answer."""
        return stage == len(self.levels) - 1 or self.gates[stage].accepts(score)

    def scorer_after(self, stage: int) -> str | None:
        """Return the name of the gate that scores the picture of this stage, counted from 0; None if nothing does."""
        return self.gates[stage].name if stage < len(self.gates) else None
