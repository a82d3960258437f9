import pytest
from hypothesis import given
from hypothesis import strategies as st
from safelight.profiles.model import LEARNING_RATE, LEAST_PACE, SURPRISE_LIMIT, ModelProfile

from safelight.core.model import ModelSpec, StepTime
from safelight.core.request import ImageRequest

ROWS = st.integers(1, 40)


def profile(*, seconds=(0.02, 0.03, 0.05)):
    spec = ModelSpec(
        name="shapes-large",
        family="sd3",
        width=64,
        height=64,
        size_multiple=16,
        max_side=128,
        steps=25,
        guidance_scale=3.0,
        sampler="euler",
        samplers=("euler",),
        step_times=tuple(StepTime(denoiser_rows=2**power, seconds=value) for power, value in enumerate(seconds)),
        encode_s=0.007,
        decode_s=0.004,
    )
    return ModelProfile.from_spec(spec)


def request(*, steps=10, guidance_scale=1.0, width=64, height=64):
    return ImageRequest(
        id="one",
        model="shapes-large",
        prompt="a red circle",
        width=width,
        height=height,
        steps=steps,
        guidance_scale=guidance_scale,
        sampler="euler",
        seed=7,
        arrived_s=0.0,
    )


@given(ROWS)
def test_four_times_the_pixels_take_four_times_the_time(rows):
    assert profile().tick_s(rows, width=128, height=128) == pytest.approx(4 * profile().tick_s(rows))


def test_a_picture_alone_takes_its_encoding_its_steps_and_its_decoding():
    assert profile().service_s(request(steps=10)) == pytest.approx(0.007 + 10 * 0.02 + 0.004)


def test_a_guided_picture_takes_two_rows_of_each_step():
    assert profile().service_s(request(guidance_scale=3.0)) == pytest.approx(0.007 + 10 * 0.03 + 0.004)


def test_company_makes_each_step_longer():
    assert profile().service_s(request(), beside_rows=3) == pytest.approx(0.007 + 10 * 0.05 + 0.004)


def test_decoding_takes_time_in_proportion_to_pixels():
    assert profile().decoding_s(width=128, height=64) == pytest.approx(0.008)


@given(ROWS, st.floats(0.05, 20))
def test_a_device_of_constant_pace_is_learned_whatever_its_pace(rows, pace):
    learned = profile()
    for _ in range(200):
        learned.observe(rows, pace * profile().tick_s(rows))
    assert learned.tick_s(8) == pytest.approx(pace * profile().tick_s(8), rel=1e-3)


@given(st.floats(0, 1e6))
def test_one_odd_tick_moves_the_pace_by_little(seconds):
    learned = profile()
    learned.observe(1, seconds)
    ratio = learned.tick_s(1) / profile().tick_s(1)
    least, most = (1 + LEARNING_RATE * (shown - 1) for shown in (1 / SURPRISE_LIMIT, SURPRISE_LIMIT))
    assert least - 1e-9 <= ratio <= most + 1e-9


def test_however_little_time_ticks_take_a_tick_is_never_thought_to_take_none():
    learned = profile()
    for _ in range(1000):
        learned.observe(1, 0.0)
    assert learned.tick_s(1) == pytest.approx(LEAST_PACE * profile().tick_s(1))


def test_a_size_that_was_never_seen_goes_at_the_pace_of_the_own_size():
    learned = profile()
    learned.observe(1, 0.04)
    assert learned.tick_s(1, width=128, height=128) == pytest.approx(4 * learned.tick_s(1))


def test_what_one_size_shows_does_not_touch_a_size_that_has_shown_its_own():
    learned = profile()
    learned.observe(1, 0.02)
    learned.observe(1, 0.2, width=128, height=128)
    assert learned.tick_s(1) == pytest.approx(0.02)


def test_the_best_service_forgets_a_slowness_learned_under_load():
    learned = profile()
    for _ in range(100):
        learned.observe(1, 0.06)
    assert learned.best_service_s(request()) == pytest.approx(profile().service_s(request()))


def test_the_best_service_keeps_a_quickness_that_was_learned():
    learned = profile()
    for _ in range(100):
        learned.observe(1, 0.01)
    assert learned.best_service_s(request()) == pytest.approx(learned.service_s(request()))


def test_a_model_measured_at_no_time_at_all_stays_there():
    instant = profile(seconds=(0.0,))
    instant.observe(1, 1.0)
    assert instant.tick_s(1) == 0.0
