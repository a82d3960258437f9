import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.latents.vectors import NUMBERS, similarity, vector_of


@given(prompt=st.text(max_size=200))
def test_a_prompt_has_a_vector_of_unit_length_or_none(prompt):
    vector = vector_of(prompt)
    assert vector.shape == (NUMBERS,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5) or not vector.any()


@given(prompt=st.text(max_size=60))
def test_case_and_punctuation_do_not_count(prompt):
    dressed = f"  {prompt.casefold()} !! "
    assert similarity(vector_of(dressed), vector_of(prompt.casefold())) == pytest.approx(
        float(vector_of(prompt.casefold()).any()), abs=1e-5
    )


def test_a_vector_is_the_same_in_every_process():
    assert np.flatnonzero(vector_of("a red circle")).tolist() == PLACES_OF_A_RED_CIRCLE


PLACES_OF_A_RED_CIRCLE = [24, 116, 240, 269, 273, 354, 404, 422, 477, 498]


def test_more_words_in_common_are_more_similar():
    prompts = ["a red fox in a snowy wood", "a red fox in a green wood", "a red cat on a green sofa", "two boats"]
    cosines = [similarity(vector_of(prompts[0]), vector_of(each)) for each in prompts]
    assert cosines == sorted(cosines, reverse=True)
