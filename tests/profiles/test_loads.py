import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.profiles.loads import FIRST_BYTES_PER_S, LoadEstimate

BYTES = st.integers(1, 2**40)


@given(BYTES)
def test_before_any_load_a_slow_disk_is_assumed(weights_bytes):
    assert LoadEstimate().seconds(weights_bytes) == pytest.approx(weights_bytes / FIRST_BYTES_PER_S)


@given(BYTES, st.floats(1e6, 1e11))
def test_a_disk_of_constant_speed_is_learned(weights_bytes, bytes_per_s):
    learned = LoadEstimate()
    for _ in range(100):
        learned.observe(weights_bytes, weights_bytes / bytes_per_s)
    assert learned.seconds(10**9) == pytest.approx(10**9 / bytes_per_s, rel=1e-3)


def test_an_adapter_of_twice_the_bytes_takes_twice_as_long():
    assert LoadEstimate().seconds(2000) == pytest.approx(2 * LoadEstimate().seconds(1000))


def test_a_load_of_no_bytes_teaches_nothing():
    learned = LoadEstimate()
    learned.observe(0, 5.0)
    assert learned.seconds(1000) == LoadEstimate().seconds(1000)


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_a_duration_that_cannot_be_teaches_nothing(seconds):
    learned = LoadEstimate()
    learned.observe(1000, seconds)
    assert learned.seconds(1000) == LoadEstimate().seconds(1000)
