import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from safelight.core import errors
from safelight.core.errors import (
    DeadlineUnmeetable,
    InvalidParameter,
    QueueFull,
    SafelightError,
    UnknownAdapter,
    UnknownModel,
    UnknownSampler,
    nearest,
    shorten,
)

ERRORS = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
MODELS = ("shapes-large", "shapes-small")


def test_every_error_of_the_package_has_one_root():
    assert all(issubclass(error, SafelightError) for error in ERRORS)


def test_the_tree_in_the_docstring_names_every_error():
    assert [error.__name__ for error in ERRORS if error.__name__ not in errors.__doc__] == []


def test_a_misspelt_name_is_answered_with_those_most_like_it():
    assert nearest("shape-large", MODELS) == "did you mean 'shapes-large' or 'shapes-small'?"


def test_a_name_like_no_other_is_answered_with_all_there_are():
    assert nearest("dall-e-3", MODELS) == "there is 'shapes-large', 'shapes-small'."


def test_with_nothing_to_offer_the_answer_says_so():
    assert nearest("shapes-large", ()) == "there is none yet."


def test_an_unknown_model_points_at_the_field_and_offers_names():
    error = UnknownModel("shapes-larg", MODELS)
    assert (error.param, error.code) == ("model", "model_not_found")
    assert "'shapes-larg'" in str(error)
    assert "did you mean 'shapes-large'" in str(error)


def test_an_unknown_sampler_points_at_the_field_and_offers_names():
    error = UnknownSampler("eular", ("ddim", "euler"))
    assert error.param == "sampler"
    assert "No sampler named 'eular'; did you mean 'euler'?" in str(error)


def test_an_unknown_adapter_offers_names_and_says_how_to_register_it():
    error = UnknownAdapter("outlien", ("outline", "pastel"))
    assert (error.param, error.code) == ("loras", "adapter_not_found")
    assert str(error) == (
        "No adapter named 'outlien'; did you mean 'outline'? Register it with `safelight adapters add`."
    )


def test_an_invalid_value_is_shown_with_its_rule():
    assert str(InvalidParameter("n", 0, "it must be from 1 to 10")) == "n is 0; it must be from 1 to 10."


@pytest.mark.parametrize("size", [80, 81, 40_000])
def test_a_long_value_is_cut_for_the_message(size):
    assert len(shorten("x" * size)) == 80


@pytest.mark.parametrize(
    "value",
    ["x" * 500, b"y" * 500, list(range(500)), dict.fromkeys(range(500), "z" * 500), [[["a" * 300]] * 300]],
    ids=["text", "bytes", "list", "dict", "nested list"],
)
def test_a_long_value_is_shown_as_it_begins_and_ends(value):
    shown, whole = shorten(value), repr(value)
    assert (shown[:39], shown[-40:]) == (whole[:39], whole[-40:])


@given(
    st.recursive(
        st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_short_value_is_shown_whole(value):
    whole = repr(value)
    assume(len(whole) <= 80 and whole.count("[") + whole.count("{") <= 3)
    assert shorten(value) == whole


@pytest.mark.parametrize("nest", [lambda items: items, lambda items: [items]], ids=["list", "nested list"])
def test_of_a_huge_list_only_what_is_shown_is_looked_at(nest):
    looks = []

    class Watched:
        def __repr__(self):
            looks.append(self)
            return "1"

    shorten(nest([Watched()] * 100_000))
    assert len(looks) <= 160


def test_of_many_names_some_are_listed_and_the_others_counted():
    names = [f"name-{number:04}" for number in range(2_000)]
    text = nearest("x" * 10_000, names)
    assert text.startswith("there is 'name-0000', ")
    assert text.endswith(" and 1,980 more.")
    assert len(text) < 500


def test_of_many_names_those_that_begin_alike_are_offered():
    names = [f"{letter}{number:04}-lora" for letter in "abcdefgh" for number in range(500)]
    assert "'c0123-lora'" in nearest("c0123-lorra", names)


def test_a_rejection_says_when_to_come_back():
    full = QueueFull(waiting=256, retry_after_s=12.4)
    late = DeadlineUnmeetable(deadline_s=0.5, expected_s=3.25, retry_after_s=3)
    assert (full.reason, full.retry_after_s) == ("queue_full", 12.4)
    assert "256" in str(full)
    assert "0.5 s" in str(late)
    assert "3.25 s" in str(late)
