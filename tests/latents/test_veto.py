import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.latents.veto import COLOURS, veto

VETOED = [
    ("a red cat", "a green cat", "colours"),
    ("a red cat on a blue mat", "a blue cat on a red mat", "colours"),
    ("two cats", "three cats", "counts"),
    ("12 cats", "13 cats", "counts"),
    ("a circle", "a square", "shapes"),
    ("circles", "squares", "shapes"),
    ("a cat above a dog", "a cat below a dog", "relations"),
    ("a small cat", "a large cat", "sizes"),
    ("a cat with a hat", "a cat without a hat", "negation"),
    ("a portrait of Alice", "a portrait of Bob", "names"),
    ('a sign "open"', 'a sign "closed"', "quoted text"),
    ("a sign \u201copen\u201d", "a sign 'closed'", "quoted text"),
    ("a cat that isn\u2019t asleep", "a cat that is asleep", "negation"),
]
ALLOWED = [
    ("a red cat asleep", "a red cat awake"),
    ("A cat asleep", "a cat asleep"),
    ("cats, asleep!", "Cats asleep"),
    ('a sign "open"', "a sign \u201copen\u201d"),
    ("two circles of light", "two circle of light"),
]
texts = st.text(st.characters(codec="utf-8"), max_size=60)


@pytest.mark.parametrize(("prompt", "earlier", "rule"), VETOED)
def test_prompts_that_differ_in_what_cosines_do_not_see_are_told_apart(prompt, earlier, rule):
    assert veto(prompt, earlier) == rule


@pytest.mark.parametrize(("prompt", "earlier"), ALLOWED)
def test_prompts_that_differ_in_other_words_may_share(prompt, earlier):
    assert veto(prompt, earlier) is None


@given(first=texts, second=texts)
def test_a_veto_holds_both_ways_and_never_against_itself(first, second):
    assert veto(first, second) == veto(second, first)
    assert veto(first, first) is None


@given(colours=st.lists(st.sampled_from(sorted(COLOURS)), min_size=2, max_size=4, unique=True))
def test_objects_that_swap_their_colours_differ(colours):
    prompt, swapped = (" and ".join(f"a {each} cat" for each in order) for order in (colours, colours[::-1]))
    assert veto(prompt, swapped) == "colours"
