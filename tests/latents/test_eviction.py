from hypothesis import given
from hypothesis import strategies as st

from safelight.latents.eviction import DecayedBenefit

HOUR_S = 3600.0


def three(**bytes_of):
    benefit = DecayedBenefit(half_life_s=HOUR_S)
    for name, size_bytes in bytes_of.items():
        benefit.add(name, steps=20, size_bytes=size_bytes, now=0.0)
    return benefit


def order(benefit):
    """Everything, in the order in which it goes."""
    gone = []
    while len(benefit):
        gone.append(benefit.least())
        benefit.remove(gone[-1])
    return gone


def test_large_entries_go_before_small_ones_that_save_as_much():
    assert order(three(small=1, large=3, medium=2)) == ["large", "medium", "small"]


def test_uses_keep_an_entry():
    benefit = three(first=1, second=1)
    benefit.used("first", 10, 0.0)
    assert order(benefit) == ["second", "first"]


def test_a_use_counts_half_after_the_half_life():
    benefit = three(old=1, new=1)
    benefit.used("old", 15, 0.0)
    benefit.used("new", 15, HOUR_S)
    benefit.used("old", 7, HOUR_S)
    assert order(benefit) == ["old", "new"]


@given(uses=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.floats(0, 1e6)), max_size=30))
def test_no_history_of_uses_loses_or_doubles_an_entry(uses):
    benefit = three(a=1, b=2, c=3)
    for name, steps, now in sorted(uses, key=lambda each: each[2]):
        benefit.used(name, steps, now)
    assert sorted(order(benefit)) == ["a", "b", "c"]
