import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.core.model import StepTime
from safelight.profiles.curve import StepCurve

SECONDS = st.floats(1e-4, 10)
MEASURED = st.dictionaries(st.integers(1, 64), SECONDS, min_size=1, max_size=8)


def curve(measured):
    return StepCurve([StepTime(denoiser_rows=rows, seconds=seconds) for rows, seconds in measured.items()])


@given(MEASURED)
def test_a_rising_measurement_is_met_exactly(measured):
    rising = dict(zip(sorted(measured), sorted(measured.values()), strict=True))
    assert [curve(rising).seconds(rows) for rows in rising] == pytest.approx(list(rising.values()))


@given(MEASURED)
def test_more_rows_never_take_less_time_however_noisy_the_measurement(measured):
    line = curve(measured)
    assert all(line.seconds(rows) <= line.seconds(rows + 1) * (1 + 1e-12) for rows in range(1, 100))


@given(MEASURED)
def test_between_two_measurements_the_line_is_straight(measured):
    line = curve(measured)
    for left, right in pairwise(sorted(measured)):
        for rows in range(left, right + 1):
            share = (rows - left) / (right - left)
            straight = (1 - share) * line.seconds(left) + share * line.seconds(right)
            assert math.isclose(line.seconds(rows), straight, rel_tol=1e-9)


def test_fewer_rows_than_were_measured_take_as_long_as_the_fewest_measured():
    assert curve({4: 0.2, 8: 0.3}).seconds(1) == 0.2


def test_beyond_the_last_measurement_the_last_slope_goes_on():
    assert curve({1: 0.1, 2: 0.15, 4: 0.35}).seconds(6) == pytest.approx(0.55)


def test_a_last_stretch_that_noise_has_flattened_goes_on_at_the_slope_of_the_whole():
    assert curve({1: 0.1, 3: 0.3, 5: 0.3}).seconds(9) == pytest.approx(0.5)


def test_from_one_measurement_alone_time_grows_with_rows():
    assert curve({2: 0.2}).seconds(6) == pytest.approx(0.6)


def test_a_model_that_was_never_measured_has_no_curve():
    with pytest.raises(ValueError, match="at least one measured step time"):
        StepCurve([])
