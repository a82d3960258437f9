"""From what levels lost to a level predictor with promises."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from safelight.core.model import ModelSpec
from safelight.diffusion.training.level_predictor import LevelLessons, train_level_predictor
from safelight.latents.conformal import least_bad, threshold
from safelight.latents.learned import LearnedLevels, ModelLevels
from safelight.latents.loss_net import LossNet, inputs_of
from safelight.latents.plan import step_at
from safelight.latents.predictor import Neighbour, StartQuery
from safelight.latents.vectors import similarity, vector_of
from safelight.latents.veto import veto
from safelight.profiles.level_file import LevelCard, LevelFile
from safelight.worker.calibration.level_losses import LevelLosses

EPSILON: Final = 0.1
"""A picture of a caption has three to nine facts, so one lost fact is more than this."""

DELTAS: Final = (0.02, 0.05, 0.1, 0.2)
CALIBRATION_SHARE: Final = 0.4
"""Of the pairs."""


class LevelScore(msgspec.Struct, frozen=True, kw_only=True):
    """How a predictor does at one promise on pairs that it did not learn of and that no veto rule speaks against.

    Attributes:
        delta: that was promised; `broken` is the share of pairs that lost more than epsilon.
        saved: share of the steps of full runs; `loss` is the mean of losses.
        depths: share of pairs by how they were served.
    """

    delta: float
    pairs: int
    broken: float
    loss: float
    saved: float
    depths: dict[str, float]


def train_levels(
    spec: ModelSpec, schedule: tuple[float, ...], losses: Sequence[LevelLosses], progress: Progress
) -> LevelFile:
    """Train on the first pairs, and set the thresholds on the other ones that no veto rule speaks against."""
    border = len(losses) - round(len(losses) * CALIBRATION_SHARE)
    kinds, depths = levels_of(losses[0], spec.steps)
    lessons = LevelLessons(
        inputs=np.stack([inputs_of(each.prompt, each.earlier) for each in losses[:border]]),
        similarities=np.array([_similarity(each) for each in losses[:border]], dtype=np.float32),
        kinds=np.array(kinds),
        depths=np.array(depths, dtype=np.float32),
        losses=np.stack([_losses(each) for each in losses[:border]]),
    )
    arrays = train_level_predictor(lessons, progress)
    held = allowed(losses[border:])
    net = LossNet(arrays=arrays)
    parts = (slice(None), slice(len(losses[0].starts)))
    bad_from = [[_bad_from(net, schedule, each, part) for each in held] for part in parts]
    card = LevelCard(
        model=spec.name,
        weights=spec.weights,
        schedule=schedule,
        noises=tuple(noise for noise, _ in losses[0].starts),
        fewer_steps=tuple(steps for steps, _ in losses[0].fewer),
        epsilon=EPSILON,
        promises=tuple((delta, min(1.0, *(threshold(each, delta) for each in bad_from))) for delta in DELTAS),
        judge="scene",
        pairs=border,
        calibration_pairs=len(held),
    )
    return LevelFile(card=card, arrays=arrays)


def score_levels(file: LevelFile, losses: Sequence[LevelLosses]) -> list[LevelScore]:
    """Return what each promise of a predictor is worth on measured pairs."""
    own, pairs = ModelLevels.of(file), allowed(losses)
    return [_score(file.card.model, replace(own, promises=(promise,)), pairs) for promise in own.promises]


def allowed(losses: Sequence[LevelLosses]) -> list[LevelLosses]:
    """Return the pairs that no veto rule speaks against."""
    return [each for each in losses if veto(each.prompt, each.earlier) is None]


def levels_of(losses: LevelLosses, steps: int) -> tuple[list[int], list[float]]:
    """Return kinds and depths of the levels of a pair, in the order of its losses."""
    depths = [*(1 - noise for noise, _ in losses.starts), *(1 - few / steps for few, _ in losses.fewer)]
    return [0] * len(losses.starts) + [1] * len(losses.fewer), depths


def predicted(net: LossNet, losses: LevelLosses, steps: int) -> NDArray[np.float32]:
    """Return the predicted losses of a pair's levels."""
    return net.losses(inputs_of(losses.prompt, losses.earlier), _similarity(losses), *levels_of(losses, steps))


def _bad_from(net: LossNet, schedule: Sequence[float], losses: LevelLosses, levels: slice) -> float:
    """Return `least_bad` of some levels of a pair."""
    steps = [len(schedule) - step_at(schedule, noise) for noise, _ in losses.starts] + [few for few, _ in losses.fewer]
    predictions = predicted(net, losses, len(schedule)).tolist()
    return least_bad(steps[levels], predictions[levels], _losses(losses).tolist()[levels], EPSILON)


def _score(model: str, own: ModelLevels, pairs: Sequence[LevelLosses]) -> LevelScore:
    predictor = LearnedLevels(models={model: own})
    served = [_served(predictor, model, own, each) for each in pairs]
    lost = np.array([loss for _, loss, _ in served])
    counts = Counter(name for name, _, _ in served)
    return LevelScore(
        delta=own.promises[0][0],
        pairs=len(pairs),
        broken=float((lost > own.epsilon).mean()),
        loss=float(lost.mean()),
        saved=float(np.mean([saved for _, _, saved in served])),
        depths={name: count / len(pairs) for name, count in sorted(counts.items())},
    )


def _served(predictor: LearnedLevels, model: str, own: ModelLevels, losses: LevelLosses) -> tuple[str, float, float]:
    """Return how a pair is served, what that loses, and which share of the steps it saves."""
    neighbour = Neighbour(prompt=losses.earlier, similarity=_similarity(losses), noises=own.noises)
    query = StartQuery(
        prompt=losses.prompt, neighbour=neighbour, model=model, noises=own.schedule, may_run_fewer_steps=True
    )
    choice, steps = predictor.choose(query), len(own.schedule)
    if choice.steps is not None:
        return f"{choice.steps} steps", dict(losses.fewer)[choice.steps], 1 - choice.steps / steps
    if choice.noise is not None:
        saved = step_at(own.schedule, choice.noise) / steps
        return f"start {choice.noise:.2f}", dict(losses.starts)[choice.noise], saved
    return "full", 0.0, 0.0


def _losses(losses: LevelLosses) -> NDArray[np.float32]:
    return np.array([loss for _, loss in (*losses.starts, *losses.fewer)], dtype=np.float32)


def _similarity(losses: LevelLosses) -> float:
    return similarity(vector_of(losses.prompt), vector_of(losses.earlier))
