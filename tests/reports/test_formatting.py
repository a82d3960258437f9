import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.reports.formatting import format_duration, format_number, format_share, shorten_name


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 s"),
        (0.0231, "23.1 ms"),
        (0.9997, "1 s"),
        (5.57, "5.57 s"),
        (90, "90 s"),
        (720, "12 minutes"),
        (86400 * 20, "20 days"),
    ],
)
def test_a_duration_is_given_in_the_unit_that_suits_it(value, words):
    assert format_duration(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0 %"), (0.00012, "0.012 %"), (0.356, "35.6 %"), (1, "100 %"), (0.99999, "nearly 100 %")]
)
def test_only_the_whole_is_100_percent(value, words):
    assert format_share(value) == words


@pytest.mark.parametrize(("value", "words"), [(0.0945, "0.0945"), (3.683, "3.68"), (1020.4, "1,020")])
def test_a_number_has_three_significant_digits(value, words):
    assert format_number(value) == words


@given(name=st.text(), most=st.integers(6, 40))
def test_a_long_name_is_cut_to_what_fits(name, most):
    assert len(shorten_name(name, most)) <= most
