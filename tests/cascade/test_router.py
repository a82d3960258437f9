"""The router over words and word pairs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.cascade.router import Router, places_of

HIDDEN = 4


def router(seed=0, **fields):
    draw = np.random.default_rng(seed)
    return Router(
        embedding=draw.normal(size=(64, HIDDEN)).astype(np.float32),
        hidden_bias=draw.normal(size=HIDDEN).astype(np.float32),
        output=draw.normal(size=HIDDEN).astype(np.float32),
        **fields,
    )


@given(st.text(max_size=80))
def test_hardness_is_a_probability_for_any_text(prompt):
    assert 0.0 <= router().hardness(prompt) <= 1.0


def test_case_and_punctuation_do_not_matter_and_order_does():
    assert places_of("A red circle!") == places_of("a red, circle")
    assert places_of("red circle") != places_of("circle red")


def test_arrays_give_the_same_router_back():
    made = router(output_bias=0.25, temperature=2.0, threshold=0.5)
    again = Router.from_arrays(made.arrays())
    assert again is not None
    assert again.hardness("a red circle") == made.hardness("a red circle")
    assert (again.threshold, again.temperature) == (0.5, 2.0)
    assert Router.from_arrays({}) is None


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="layers"):
        Router(
            embedding=np.zeros((2, 3), np.float32), hidden_bias=np.zeros(2, np.float32), output=np.zeros(3, np.float32)
        )
    with pytest.raises(ValueError, match="lacks"):
        Router.from_arrays({"router.embedding": np.zeros((2, 3), np.float32)})
    with pytest.raises(ValueError, match="temperature"):
        router(temperature=math.nan)
