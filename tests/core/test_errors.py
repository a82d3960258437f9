import pytest

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


def test_a_rejection_says_when_to_come_back():
    full = QueueFull(waiting=256, retry_after_s=12.4)
    late = DeadlineUnmeetable(deadline_s=0.5, expected_s=3.25, retry_after_s=3)
    assert (full.reason, full.retry_after_s) == ("queue_full", 12.4)
    assert "256" in str(full)
    assert "0.5 s" in str(late)
    assert "3.25 s" in str(late)
