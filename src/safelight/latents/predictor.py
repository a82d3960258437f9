"""What a level predictor must do, and the published thresholds."""

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """The earlier picture that a new one may start from.

    Attributes:
        similarity: cosine of both prompts' vectors.
        noises: the noise levels at which its estimates were captured, from high to low.
        hits: how many pictures have started from it.
    """

    prompt: str
    similarity: float
    noises: tuple[float, ...]
    age_s: float = 0.0
    hits: int = 0


@dataclass(frozen=True, kw_only=True)
class StartQuery:
    """A request, as it would be served in full, and its neighbour; no veto rule speaks against the neighbour.

    Attributes:
        noises: the noise level at which each of the request's steps starts, from high to low.
        pressure: the load of the fleet, from 0 to 1 and beyond.
        weights: fingerprint of the model's; empty if it is not known.
        caution: how many promises stricter than usual the choice is made; shadow runs raise it.
        may_run_fewer_steps: whether the client left their number open.
    """

    prompt: str
    neighbour: Neighbour
    model: str
    noises: tuple[float, ...]
    pressure: float = 0.0
    weights: str = ""
    caution: int = 0
    may_run_fewer_steps: bool = False

    @property
    def steps(self) -> int:
        return len(self.noises)


@dataclass(frozen=True, kw_only=True)
class StartChoice:
    """How a request with a neighbour is served.

    Attributes:
        noise: the picture starts from its neighbour, re-noised to at most this level; None starts from noise.
        steps: of the whole schedule; None keeps the request's.
        step_cache: the threshold of the step cache; None for none.
        model: a lighter model; None keeps the request's.
        predicted_loss: of quality against the full run, from 0 to 1; None if it was not predicted.
    """

    noise: float | None = None
    steps: int | None = None
    step_cache: float | None = None
    model: str | None = None
    predicted_loss: float | None = None


FULL: Final = StartChoice()
"""The full run."""


class LevelPredictor(Protocol):
    """Chooses how deep a picture may start; pure, and the same query gives the same choice."""

    @property
    def name(self) -> str: ...

    def choose(self, query: StartQuery) -> StartChoice:
        """Return the cheapest choice whose loss is acceptable."""
        ...


@dataclass(frozen=True, kw_only=True)
class FixedThresholds:
    """The similarity above which a picture may start at a noise level (NIRVANA, NSDI 2024, section 4.3).

    The paper gives K of 50 steps of Stable Diffusion; `steps` holds them as the noise level at which step K of that
    schedule starts (scaled-linear betas, leading spacing), which is the same for any sampler and number of steps.
    """

    name: ClassVar[str] = "nirvana"
    steps: tuple[tuple[float, float], ...] = (
        (0.95, 0.835),
        (0.90, 0.906),
        (0.85, 0.952),
        (0.75, 0.978),
        (0.65, 0.991),
    )

    def choose(self, query: StartQuery) -> StartChoice:
        for least, noise in self.steps:
            if query.neighbour.similarity > least:
                return StartChoice(noise=noise)
        return FULL


LEVEL_PREDICTORS: Final[tuple[LevelPredictor, ...]] = (FixedThresholds(),)
