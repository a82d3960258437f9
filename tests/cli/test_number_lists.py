import math

import pytest

from safelight.cli.number_lists import BYTE_UNITS, BadNumberList, NumberList

POSITIVE = NumberList(low=math.ulp(0.0), high=math.nextafter(math.inf, 0.0))
SIZES = NumberList(low=1, high=100, is_whole=True, has_ranges=True, most=20)
CAPACITIES = NumberList(low=1, units=BYTE_UNITS)


@pytest.mark.parametrize(
    ("numbers", "text", "found"),
    [
        (POSITIVE, "0.5,1, 2e3", [0.5, 1.0, 2000.0]),
        (SIZES, "1-3, 10 ,2", [1, 2, 3, 10, 2]),
        (SIZES, "4-4", [4]),
        (CAPACITIES, "2GiB, 1.5KB", [2 << 30, 1500]),
    ],
)
def test_numbers_between_commas_keep_their_order(numbers, text, found):
    assert numbers.parse(text) == found


@pytest.mark.parametrize(
    ("numbers", "text", "part", "problem"),
    [
        (POSITIVE, "1,x", "x", "form"),
        (POSITIVE, "", "", "form"),
        (POSITIVE, "nan", "nan", "form"),
        (POSITIVE, "1,0", "0", "range"),
        (POSITIVE, "inf", "inf", "range"),
        (SIZES, "1.5", "1.5", "form"),
        (SIZES, "1-", "1-", "form"),
        (SIZES, "-3", "-3", "form"),
        (SIZES, "3-1", "3-1", "range"),
        (SIZES, "0-3", "0-3", "range"),
        (SIZES, "101", "101", "range"),
        (SIZES, "1-15,1-15", "1-15", "count"),
        (CAPACITIES, "2", "2", "form"),
        (CAPACITIES, "0.1KB,0KB", "0KB", "range"),
        (CAPACITIES, "1e999GB", "1e999GB", "form"),
    ],
)
def test_what_is_no_such_number_is_named_with_its_problem(numbers, text, part, problem):
    with pytest.raises(BadNumberList) as raised:
        numbers.parse(text)
    assert (raised.value.part, raised.value.problem) == (part, problem)
