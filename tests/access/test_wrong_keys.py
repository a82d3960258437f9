"""Wrong keys of one address are limited, and reported together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.access.wrong_keys import BURST_ENDS_S, REPORT_EVERY_S, Burst, WrongKeys, network_of

ADDRESS, OTHER = "192.0.2.1", "192.0.2.2"


def limited(wrong, peer, times):
    """Which of the wrong keys at these times are limited."""
    return [wrong.note(peer, now).wait_s is not None for now in times]


def test_further_wrong_keys_within_a_minute_are_limited():
    assert limited(WrongKeys(per_minute=3), ADDRESS, [0.0] * 5) == [False] * 3 + [True] * 2


def test_other_addresses_are_not_affected():
    wrong = WrongKeys(per_minute=1)
    limited(wrong, ADDRESS, [0.0] * 5)
    assert limited(wrong, OTHER, [0.0]) == [False]


def test_the_wait_that_is_told_is_enough_and_not_too_much():
    wrong = WrongKeys(per_minute=6)
    limited(wrong, ADDRESS, [0.0] * 6)
    wait_s = wrong.note(ADDRESS, 0.0).wait_s
    assert wait_s == pytest.approx(10.0)
    assert limited(wrong, ADDRESS, [0.99 * wait_s, wait_s]) == [True, False]


@given(times=st.lists(st.floats(0, 300), max_size=100).map(sorted), per_minute=st.integers(1, 20))
def test_no_minute_has_more_than_twice_the_limit(times, per_minute):
    passed = [
        now
        for now, is_limited in zip(times, limited(WrongKeys(per_minute=per_minute), ADDRESS, times), strict=True)
        if not is_limited
    ]
    assert all(sum(begin <= now < begin + 60 for now in passed) <= 2 * per_minute for begin in passed)


def test_only_the_first_of_a_burst_is_news():
    wrong = WrongKeys()
    assert [wrong.note(ADDRESS, now).is_first for now in (0.0, 1.0, 1.0 + BURST_ENDS_S)] == [True, False, True]


def test_a_burst_is_reported_when_it_has_ended_with_the_address_and_what_came_after_the_first():
    wrong = WrongKeys()
    limited(wrong, ADDRESS, [0.0, 1.0, 2.0])
    assert wrong.reports(3.0) == []
    assert wrong.reports(2.0 + BURST_ENDS_S) == [Burst(peer=ADDRESS, count=2)]
    assert wrong.reports(2.0 + 2 * BURST_ENDS_S) == []
    assert len(wrong) == 0


def test_a_burst_that_goes_on_is_reported_now_and_then():
    wrong = WrongKeys()
    limited(wrong, ADDRESS, range(int(REPORT_EVERY_S) + 1))
    assert wrong.reports(REPORT_EVERY_S) == [Burst(peer=ADDRESS, count=int(REPORT_EVERY_S) - 1)]


@given(times=st.lists(st.integers(0, 500), min_size=1, max_size=60).map(sorted))
def test_every_wrong_key_is_reported_once(times):
    wrong = WrongKeys(max_addresses=2)
    first = sum(wrong.note(peer, now).is_first for now in times for peer in (ADDRESS, OTHER, "192.0.2.3"))
    assert first + sum(burst.count for burst in wrong.reports(float("inf"))) == 3 * len(times)


def test_memory_is_bounded_whatever_addresses_come():
    wrong = WrongKeys(max_addresses=8)
    for number in range(100):
        wrong.note(f"198.51.100.{number}", float(number))
    assert len(wrong) == 8


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::1", True),
        ("unknown", "unknown", True),
    ],
)
def test_one_client_shares_one_limit(one, other, are_one):
    assert (network_of(one) == network_of(other)) == are_one


def test_an_address_that_a_proxy_has_made_up_is_kept_short():
    wrong = WrongKeys()
    wrong.note("x" * 100_000, 0.0)
    wrong.note("x" * 100_000, 0.0)
    assert [len(burst.peer) for burst in wrong.reports(float("inf"))] == [64]
