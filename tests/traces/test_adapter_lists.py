from hypothesis import given
from hypothesis import strategies as st

from safelight.traces.adapter_lists import adapter_lists

NAMES = st.none() | st.integers(0, 9) | st.text(st.sampled_from("a\0\x1f,"), max_size=3)


@given(lists=st.lists(st.none() | st.lists(NAMES, max_size=3), max_size=6))
def test_adapters_have_the_names_that_lists_give_whatever_characters_are_in_them(lists):
    assert adapter_lists(lists).to_list() == [
        names if names is None else [{"name": name if name is None else str(name), "scale": None} for name in names]
        for names in lists
    ]
