import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.latents.index import ExactIndex
from safelight.latents.vectors import NUMBERS


def unit(seed, *, numbers=NUMBERS):
    """A random vector of which only the first `numbers` are not 0."""
    vector = np.zeros(NUMBERS, dtype=np.float32)
    vector[:numbers] = np.random.default_rng(seed).normal(size=numbers)
    return vector / np.linalg.norm(vector)


operations = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=60)


@settings(max_examples=40)
@given(operations=operations, most=st.integers(1, 5), numbers=st.sampled_from([8, NUMBERS]))
def test_a_search_finds_what_a_comparison_with_all_finds_after_any_history(operations, most, numbers):
    index, kept = ExactIndex(), {}
    for is_added, number in operations:
        name = str(number)
        if is_added and name not in kept:
            kept[name] = unit(number)
            index.add(name, kept[name])
        elif not is_added:
            kept.pop(name, None)
            index.remove(name)
    query = unit(99, numbers=numbers)
    expected = sorted(((name, float(vector @ query)) for name, vector in kept.items()), key=lambda each: -each[1])
    found = index.search(query, most)
    assert len(index) == len(kept)
    assert [name for name, _ in found] == [name for name, _ in expected[:most]]
    assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in expected[:most]], abs=1e-5)
