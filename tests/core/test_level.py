import pytest

from core.makers import a_level
from safelight.core.level import Gate, Route

CHEAP, DEAR = a_level(model="shapes-small"), a_level()


@pytest.mark.parametrize(("guidance_scale", "denoiser_rows"), [(0.0, 1), (1.0, 1), (1.01, 2), (7.5, 2)])
def test_guidance_above_one_takes_a_second_denoiser_row(guidance_scale, denoiser_rows):
    assert a_level(guidance_scale=guidance_scale).denoiser_rows == denoiser_rows


@pytest.mark.parametrize("guidance", ["embedded", "none"])
def test_models_that_are_not_guided_by_a_second_row_take_one(guidance):
    assert a_level(guidance_scale=7.5, guidance=guidance).denoiser_rows == 1


def test_steps_that_the_start_stands_for_are_not_run():
    assert a_level(steps=25, first_step=5).steps_to_run == 20


@pytest.mark.parametrize(("score", "is_accepted"), [(0.5, True), (0.9, True), (0.49, False), (None, False)])
def test_a_gate_accepts_scores_from_its_threshold_and_no_picture_without_a_score(score, is_accepted):
    assert Gate(threshold=0.5).accepts(score) is is_accepted


def test_a_route_of_one_level_ends_there():
    assert Route(levels=(DEAR,)).ends_at(0, None)


@pytest.mark.parametrize(
    ("stage", "score", "ends"), [(0, 0.9, True), (0, 0.1, False), (0, None, False), (1, 0.1, True)]
)
def test_a_route_ends_at_the_first_picture_that_a_gate_accepts_or_at_its_last_level(stage, score, ends):
    assert Route(levels=(CHEAP, DEAR), gates=(Gate(threshold=0.5),)).ends_at(stage, score) is ends


@pytest.mark.parametrize("gates", [0, 2])
def test_a_route_has_a_gate_between_each_two_levels(gates):
    with pytest.raises(AssertionError, match="a gate between each two levels"):
        Route(levels=(CHEAP, DEAR), gates=(Gate(threshold=0.5),) * gates)
