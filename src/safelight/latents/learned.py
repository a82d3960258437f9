"""A level predictor that has learned what levels lose, with a bound on how often that is too much (Argus)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from safelight.latents.loss_net import LossNet, inputs_of
from safelight.latents.predictor import FULL, FixedThresholds, LevelPredictor, StartChoice, StartQuery
from safelight.profiles.level_file import LevelFile

PRESSURES: Final = (0.0, 1.0, 4.0)
"""From each pressure on, the promise is one looser; without pressure it is the second strictest."""

SAME_NOISE: Final = 1e-3


@dataclass(frozen=True, kw_only=True)
class ModelLevels:
    """What was learned of one model.

    Attributes:
        weights: fingerprint of the model's.
        schedule: the noise level at which each step of the full run starts.
        noises: of the starts, and `fewer_steps`, the numbers of steps, that were measured.
        promises: pairs of delta and the threshold that keeps it, from the strictest on.
    """

    net: LossNet
    weights: str
    schedule: tuple[float, ...]
    noises: tuple[float, ...]
    fewer_steps: tuple[int, ...] = ()
    epsilon: float
    promises: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, file: LevelFile) -> "ModelLevels":
        """Return what a file has learned; ValueError if its arrays do not fit each other."""
        card = file.card
        return cls(
            net=LossNet(arrays=file.arrays),
            weights=card.weights,
            schedule=card.schedule,
            noises=card.noises,
            fewer_steps=card.fewer_steps,
            epsilon=card.epsilon,
            promises=card.promises,
        )

    def fits(self, query: StartQuery) -> bool:
        """Whether a request would run as what was learned of did."""
        is_same_model = query.weights in {"", self.weights} and query.steps == len(self.schedule)
        has_estimates = min(query.neighbour.noises, default=2.0) <= min(self.noises) + SAME_NOISE
        return (
            is_same_model
            and has_estimates
            and all(abs(own - other) <= SAME_NOISE for own, other in zip(self.schedule, query.noises, strict=True))
        )

    def promise(self, pressure: float, caution: int = 0) -> tuple[float, float] | None:
        """Return delta and the threshold that hold at a pressure; None if caution leaves no promise to be kept.

        Each point of `caution` chooses the next stricter promise.
        """
        looser = sum(pressure >= each for each in PRESSURES)
        place = min(looser, len(self.promises) - 1) - caution
        return self.promises[place] if place >= 0 else None


@dataclass(frozen=True, kw_only=True)
class LearnedLevels:
    """Chooses the cheapest level whose predicted loss is below the threshold of a promise.

    For a pair of prompts like those that it was calibrated with, the loss exceeds `epsilon` with a probability of at
    most delta (`conformal`). Other weights and another schedule of a model that it learned of run in full. For models
    that it did not learn of, the published thresholds decide, and nothing is promised.
    """

    name: ClassVar[str] = "learned"
    models: Mapping[str, ModelLevels] = field(default_factory=dict)
    otherwise: LevelPredictor = field(default_factory=FixedThresholds)

    def choose(self, query: StartQuery) -> StartChoice:
        own = self.models.get(query.model)
        if own is None:
            return self.otherwise.choose(query)
        promise = own.promise(query.pressure, query.caution) if own.fits(query) else None
        if promise is None:
            return FULL
        _, bound = promise
        levels = [*_starts(query, own), *(_fewer(query, own) if query.may_run_fewer_steps else ())]
        steps_run, kinds, depths, choices = zip(*levels, strict=True)
        inputs = inputs_of(query.prompt, query.neighbour.prompt)
        losses = own.net.losses(inputs, query.neighbour.similarity, kinds, depths)
        allowed = [
            (steps, float(loss), number)
            for number, (steps, loss) in enumerate(zip(steps_run, losses.tolist(), strict=True))
            if loss < bound
        ]
        if not allowed:
            return FULL
        _, loss, number = min(allowed)
        choice: StartChoice = choices[number]
        return StartChoice(noise=choice.noise, steps=choice.steps, predicted_loss=loss)


_Candidate = tuple[int, int, float, StartChoice]
"""Steps to run, kind, depth, and the choice."""


def _starts(query: StartQuery, own: ModelLevels) -> list[_Candidate]:
    """Return the starts that were measured."""
    return [
        (sum(each <= noise + SAME_NOISE for each in query.noises), 0, 1.0 - noise, StartChoice(noise=noise))
        for noise in own.noises
    ]


def _fewer(query: StartQuery, own: ModelLevels) -> list[_Candidate]:
    return [(steps, 1, 1.0 - steps / query.steps, StartChoice(steps=steps)) for steps in own.fewer_steps]
