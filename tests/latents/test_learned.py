"""A level predictor that has learned: its promise, and where it makes none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.core.errors import LevelFileError
from safelight.latents.conformal import least_bad, threshold
from safelight.latents.learned import LearnedLevels, ModelLevels
from safelight.latents.loss_net import SHAPES, LossNet, inputs_of
from safelight.latents.predictor import FULL, FixedThresholds, Neighbour, StartQuery
from safelight.profiles.level_file import LevelCard, LevelFile, read_levels, write_levels

SCHEDULE = tuple(np.linspace(1.0, 0.1, 10).tolist())
NOISES = (0.8, 0.5, 0.2)


def arrays(hidden: int = 4, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {name: tuple(hidden if each == "hidden" else each for each in shape) for name, shape in SHAPES.items()}
    return {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def levels(promises=((0.05, 0.2), (0.2, 0.6))) -> ModelLevels:
    return ModelLevels(
        net=LossNet(arrays=arrays()),
        weights="w",
        schedule=SCHEDULE,
        noises=NOISES,
        epsilon=0.1,
        promises=promises,
    )


def query(**fields) -> StartQuery:
    neighbour = Neighbour(prompt="a red star", similarity=fields.pop("similarity", 0.97), noises=NOISES)
    asked = {"prompt": "draw a red star", "neighbour": neighbour, "model": "m", "weights": "w", "noises": SCHEDULE}
    return StartQuery(**asked | fields)


@pytest.mark.parametrize("delta", [0.05, 0.2])
def test_a_threshold_breaks_its_promise_no_more_often_than_it_says(delta):
    rng = np.random.default_rng(3)
    steps, epsilon, broken, trials = (9, 6, 3), 0.1, 0, 1500
    for _ in range(trials):
        risk = rng.random((60, 1)) * np.array([0.3, 0.6, 1.0])
        predicted = np.clip(risk * 0.3 + rng.normal(0, 0.05, risk.shape), 0, 1)
        losses = np.where(rng.random(risk.shape) < risk, 0.4, 0.0)
        bound = threshold(
            [least_bad(steps, *pair, epsilon) for pair in zip(predicted[:-1], losses[:-1], strict=True)], delta
        )
        allowed = [(run, loss) for run, own, loss in zip(steps, predicted[-1], losses[-1], strict=True) if own < bound]
        broken += bool(allowed) and min(allowed)[1] > epsilon
    assert broken / trials <= delta + 3 * np.sqrt(delta * (1 - delta) / trials)


@given(st.floats(0, 1), st.integers(0, 5))
def test_a_deeper_start_never_loses_less(similarity, seed):
    net = LossNet(arrays=arrays(seed=seed))
    depths = [0.1, 0.4, 0.8]
    losses = net.losses(inputs_of("a red star", "a star"), similarity, [0, 0, 0], depths)
    assert list(losses) == sorted(losses)


def test_pressure_chooses_a_looser_promise_and_caution_a_stricter_one():
    own = levels(promises=((0.02, 0.1), (0.05, 0.2), (0.2, 0.5)))
    assert [own.promise(pressure) for pressure in (0.0, 2.0)] == [(0.05, 0.2), (0.2, 0.5)]
    assert own.promise(0.0, caution=1) == (0.02, 0.1)
    assert own.promise(0.0, caution=2) is None


@pytest.mark.parametrize(
    "fields", [{"weights": "other"}, {"noises": SCHEDULE[:-1]}, {"noises": SCHEDULE[::-1]}], ids=str
)
def test_nothing_is_promised_for_what_it_did_not_learn_of(fields):
    assert LearnedLevels(models={"m": levels()}).choose(query(**fields)) == FULL


def test_the_published_thresholds_decide_for_models_that_it_did_not_learn_of():
    learned = LearnedLevels(models={"m": levels()})
    assert learned.choose(query(model="sdxl")) == FixedThresholds().choose(query(model="sdxl"))


def test_a_file_keeps_what_was_learned(tmp_path):
    card = LevelCard(
        model="m", weights="w", schedule=SCHEDULE, noises=NOISES, fewer_steps=(), epsilon=0.1,
        promises=((0.05, 0.2),), judge="scene", pairs=10, calibration_pairs=5,
    )  # fmt: skip
    write_levels(LevelFile(card=card, arrays=arrays()), tmp_path / "levels.safetensors")
    kept = ModelLevels.of(read_levels(tmp_path / "levels.safetensors"))
    assert kept.promises == card.promises
    (tmp_path / "levels.safetensors").write_bytes(b"damaged")
    with pytest.raises(LevelFileError, match="damaged"):
        read_levels(tmp_path / "levels.safetensors")
