import re
import string

from hypothesis import given
from hypothesis import strategies as st

from safelight.shapes.caption import caption_of, known_words, parse
from safelight.shapes.scene import ObjectDescription, SceneDescription
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, KNOWN_WORDS, SHAPES, SIZES, SYNONYMS
from shapes.worlds import descriptions

UNKNOWN = st.from_regex(r"[b-z]{2,9}", fullmatch=True).filter(lambda word: word not in {*KNOWN_WORDS, *SYNONYMS})


@given(descriptions())
def test_what_is_told_is_understood(description):
    assert parse(caption_of(description)) == description


@given(descriptions())
def test_telling_uses_words_that_the_models_see_and_small_words(description):
    assert set(caption_of(description).split()) <= {*KNOWN_WORDS, "a", "and", "background", "of", "on"}


@given(descriptions(), st.data())
def test_unknown_words_between_known_ones_change_nothing(description, data):
    said = [
        part for word in caption_of(description).split() for part in (*data.draw(st.lists(UNKNOWN, max_size=2)), word)
    ]
    assert parse(" ".join(said)) == description


@given(descriptions(), st.sampled_from([", ", "! ", "\n", " -- ", "\t", "/", "… ", "。"]))
def test_letter_case_and_punctuation_change_nothing(description, between):
    assert parse(between.join(caption_of(description).title().split())) == description


@given(st.text(max_size=300))
def test_any_text_is_understood_as_something_that_can_be_told(text):
    description = parse(text)
    assert parse(caption_of(description)) == description


@given(st.lists(st.sampled_from([*KNOWN_WORDS, *SYNONYMS, "gibberish"]), max_size=20).map(" ".join))
def test_the_first_two_shapes_that_are_named_are_the_objects(text):
    named = [word for word in known_words(text) if word in SHAPES]
    assert [description.shape for description in parse(text).objects] == named[:2]


@given(st.lists(st.sampled_from([*KNOWN_WORDS, *SYNONYMS, *string.printable]), max_size=30).map(" ".join))
def test_keeping_known_words_twice_is_keeping_them_once(text):
    once = known_words(text)
    assert known_words(" ".join(once)) == once


@given(st.text())
def test_known_words_are_known(text):
    assert set(known_words(text)) <= set(KNOWN_WORDS)


def test_free_text_is_used_as_far_as_it_is_known():
    assert parse("Please draw a RED circle!") == SceneDescription(
        objects=(ObjectDescription(shape="circle", colour="red"),)
    )


def test_a_full_caption_is_understood():
    assert parse("a small yellow star above a medium blue square on a gray background") == SceneDescription(
        objects=(
            ObjectDescription(shape="star", colour="yellow", size="small"),
            ObjectDescription(shape="square", colour="blue", size="medium"),
        ),
        relation="above",
        background="gray",
    )


def test_synonyms_are_understood():
    assert parse("two tiny violet hearts over a huge disc, grey") == SceneDescription(
        objects=(
            ObjectDescription(shape="heart", colour="purple", size="small"),
            ObjectDescription(shape="circle", size="large"),
        ),
        relation="above",
        background="gray",
    )


def test_every_synonym_leads_to_a_known_word():
    assert set(SYNONYMS.values()) <= set(KNOWN_WORDS)


def test_no_word_has_two_meanings():
    attributes = [*SHAPES, *COLOURS, *SIZES, *BACKGROUNDS]
    assert len({*attributes, *SYNONYMS}) == len(attributes) + len(SYNONYMS)


def test_the_vocabulary_is_as_large_as_promised():
    assert (len(SHAPES), len(COLOURS), len(SIZES), len(BACKGROUNDS)) == (6, 8, 3, 4)


def test_a_relation_takes_two_objects():
    assert parse("a red circle above").relation is None


def test_left_without_of_is_no_relation():
    assert parse("a circle, and left over, a square").relation == "above"


def test_objects_past_the_second_are_passed_over():
    assert [description.shape for description in parse("a star, a heart, a cross").objects] == ["star", "heart"]


def test_a_prompt_of_40_kilobytes_is_understood():
    text = "lorem ipsum " * 3400 + "a red circle"
    assert parse(text).objects == (ObjectDescription(shape="circle", colour="red"),)


def test_nothing_asks_for_nothing():
    assert parse("") == SceneDescription()


def test_known_words_are_single_lower_case_words():
    assert all(re.fullmatch("[a-z]+", word) for word in KNOWN_WORDS)
