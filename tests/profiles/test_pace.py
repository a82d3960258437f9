import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.makers import a_profile
from safelight.core.job import Job
from safelight.core.level import Level
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.source import PictureSource
from safelight.core.work import Ticked
from safelight.profiles.pace import LEARNING_RATE, LEAST_PACE, SURPRISE_LIMIT, PaceEstimate

ROWS = st.integers(1, 40)
SIDE = 64
STILL_S = 0.007 + 0.004
"""Encoding a prompt, and decoding a picture."""


def estimate(**changes):
    return PaceEstimate(a_profile(**changes))


def tick_s(pace, rows=1, side=SIDE):
    return pace.tick_s(rows, width=side, height=side)


def see(pace, seconds, rows=1, side=SIDE, **fields):
    """Let a tick teach `pace`; `seconds` are those without misfits."""
    ticked = Ticked(
        model="shapes-large",
        width=side,
        height=side,
        denoiser_rows=rows,
        seconds=fields.pop("with_misfits_s", seconds),
        plain_s=seconds,
        request_ids=("one",),
        **fields,
    )
    pace.observe(ticked)


def job(*, steps=10, first_step=0, guidance_scale=1.0, source=None):
    request = ImageRequest(
        id="one", prompt="a red circle", width=SIDE, height=SIDE, seed=7, arrived_s=0.0, source=source
    )
    level = Level(
        model="shapes-large", steps=steps, first_step=first_step, guidance_scale=guidance_scale, sampler="euler"
    )
    return Job(request=request, level=level)


def test_a_picture_alone_takes_its_encoding_its_steps_and_its_decoding():
    assert estimate().service_s(job(steps=10)) == pytest.approx(STILL_S + 10 * 0.02)


def test_a_guided_picture_takes_two_rows_of_each_step():
    assert estimate().service_s(job(guidance_scale=3.0)) == pytest.approx(STILL_S + 10 * 0.03)


def test_company_makes_each_step_longer():
    assert estimate().service_s(job(), beside_rows=3) == pytest.approx(STILL_S + 10 * 0.05)


def test_a_picture_from_a_picture_takes_the_encoding_of_that_and_the_steps_that_it_runs():
    source = PictureSource(image=Pixels(width=SIDE, height=SIDE, rgb=b""))
    assert estimate().service_s(job(first_step=4, source=source)) == pytest.approx(STILL_S + 0.002 + 6 * 0.02)


@given(ROWS, st.floats(0.05, 20))
def test_a_device_of_constant_pace_is_learned_whatever_its_pace(rows, pace):
    learned = estimate()
    for _ in range(200):
        see(learned, pace * tick_s(estimate(), rows), rows)
    assert tick_s(learned, 8) == pytest.approx(pace * tick_s(estimate(), 8), rel=1e-3)


@given(st.floats(0, 1e6))
def test_one_odd_tick_moves_the_pace_by_little(seconds):
    learned = estimate()
    see(learned, seconds)
    ratio = tick_s(learned) / tick_s(estimate())
    least, most = (1 + LEARNING_RATE * (shown - 1) for shown in (1 / SURPRISE_LIMIT, SURPRISE_LIMIT))
    assert least - 1e-9 <= ratio <= most + 1e-9


def test_however_little_time_ticks_take_a_tick_is_never_thought_to_take_none():
    learned = estimate()
    for _ in range(1000):
        see(learned, 0.0)
    assert tick_s(learned) == pytest.approx(LEAST_PACE * tick_s(estimate()))


def test_what_misfits_cost_is_not_taken_for_the_pace_of_the_device():
    learned = estimate()
    see(learned, 0.02, misfit_rows=1, with_misfits_s=0.2)
    assert tick_s(learned) == pytest.approx(0.02)


def test_a_size_that_was_never_seen_goes_at_the_pace_of_the_own_size():
    learned = estimate()
    see(learned, 0.04)
    assert tick_s(learned, side=128) == pytest.approx(4 * tick_s(learned))


def test_what_one_size_shows_does_not_touch_a_size_that_has_shown_its_own():
    learned = estimate()
    see(learned, 0.02)
    see(learned, 0.2, side=128)
    assert tick_s(learned) == pytest.approx(0.02)


def test_what_is_learned_does_not_change_the_profile():
    profile = a_profile()
    see(PaceEstimate(profile), 0.04)
    assert tick_s(PaceEstimate(profile)) == pytest.approx(0.02)


def test_the_best_service_forgets_a_slowness_learned_under_load():
    learned = estimate()
    for _ in range(100):
        see(learned, 0.06)
    assert learned.best_service_s(job()) == pytest.approx(estimate().service_s(job()))


def test_the_best_service_keeps_a_quickness_that_was_learned():
    learned = estimate()
    for _ in range(100):
        see(learned, 0.01)
    assert learned.best_service_s(job()) == pytest.approx(learned.service_s(job()))


def test_a_model_measured_at_no_time_at_all_stays_there():
    instant = estimate(seconds=(0.0,))
    see(instant, 1.0)
    assert tick_s(instant) == 0.0
