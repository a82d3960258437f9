"""The Frechet distance of two sets of features."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from safelight.core.errors import RequestError
from safelight.diffusion.evaluation.frechet import encoder_of, frechet_distance
from safelight.local.model_folders import SHIPPED_GATE


def features(seed: int, count: int = 200, width: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_published_formula(seed):
    one, other = features(seed), features(seed + 10)
    covariances = [np.cov(each, rowvar=False) for each in (one, other)]
    means = ((one.mean(0) - other.mean(0)) ** 2).sum()
    published = means + np.trace(sum(covariances)) - 2 * np.trace(sqrtm(covariances[0] @ covariances[1]).real)
    assert frechet_distance(one, other) == pytest.approx(published, rel=1e-6)


def test_a_set_is_at_no_distance_from_itself_and_the_distance_has_no_direction():
    one, other = features(0), features(1)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one))


def test_noise_takes_pictures_away_by_the_features_of_the_shipped_gate():
    rng = np.random.default_rng(0)
    plain = np.repeat(rng.integers(0, 256, (80, 1, 1, 3)), 64, axis=1).repeat(64, axis=2).astype(np.uint8)
    noisy = np.clip(plain + rng.normal(0, 60, plain.shape), 0, 255).astype(np.uint8)
    encoder = encoder_of("gate", gate=SHIPPED_GATE)
    near, far = (encoder.features(each) for each in (plain[1::2], noisy[1::2]))
    assert frechet_distance(encoder.features(plain[::2]), near) < frechet_distance(encoder.features(plain[::2]), far)


def test_an_unknown_encoder_is_refused_by_name():
    with pytest.raises(RequestError, match="clip:FOLDER"):
        encoder_of("inception", gate=SHIPPED_GATE)
