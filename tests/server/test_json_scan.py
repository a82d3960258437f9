"""The scan counts what a parser would make, without making it."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.server.json_scan import InvalidJson, JsonLimits, JsonTooComplex, check_json

TEXTS = st.text(alphabet=st.sampled_from('"\\,:[]{}/ \n\t\0aé€😀\ud800'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=25,
)
STYLES = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 0, 3]),
        "separators": st.sampled_from([None, (",", ":"), (" , ", " : ")]),
    }
)


def written(value, style):
    return json.dumps(value, **style).encode("utf-8", "surrogatepass")


def depth_of(value):
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth_of, inner), default=0)
    return 0


def values_of(value):
    if isinstance(value, list | dict):
        inner = list(value.values() if isinstance(value, dict) else value)
        return 1 + sum(map(values_of, inner)) + (not inner)
    return 1


def keys_of(text):
    """Count keys as the parser of the standard library meets them, with those that come twice."""
    keys = 0

    def count(pairs):
        nonlocal keys
        keys += len(pairs)
        return dict(pairs)

    json.loads(text, object_pairs_hook=count)
    return keys


def accepts(text, **limits):
    try:
        check_json(text, JsonLimits(**limits))
    except JsonTooComplex:
        return False
    return True


@given(VALUES, STYLES)
def test_what_is_within_the_limits_is_accepted_whatever_its_texts_hold(value, style):
    text = written(value, style)
    assert accepts(text, values=values_of(value), keys=keys_of(text.decode("utf-8", "surrogatepass")))


@given(VALUES, STYLES)
def test_the_count_of_values_is_that_of_a_parser(value, style):
    assert not accepts(written(value, style), values=values_of(value) - 1)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=5), STYLES)
def test_the_count_of_keys_is_that_of_a_parser(value, style):
    text = written(value, style)
    assert not accepts(text, keys=keys_of(text.decode("utf-8", "surrogatepass")) - 1)


@given(st.lists(VALUES, max_size=5), STYLES)
def test_the_depth_is_that_of_a_parser(value, style):
    text, depth = written(value, style), depth_of(value)
    assert accepts(text, depth=depth)
    assert not accepts(text, depth=depth - 1)


@given(st.text(alphabet='"\\,:[]{}1 n', max_size=40))
def test_of_what_is_no_json_nothing_is_raised_but_refusals(text):
    accepts(text.encode(), values=3, keys=1, depth=1)


def test_a_key_that_comes_twice_counts_twice():
    assert accepts(b'{"a":1,"a":2}', keys=2)
    assert not accepts(b'{"a":1,"a":2}', keys=1)


@pytest.mark.parametrize("backslashes", range(1, 7))
def test_a_quote_ends_a_text_after_an_even_number_of_backslashes_only(backslashes):
    text = b'["' + b"\\" * backslashes + b'",1,2,3,4]'
    is_ended = backslashes % 2 == 0
    assert accepts(text, values=5) is not is_ended


@pytest.mark.parametrize(
    "text",
    [
        b'{"image":"data:image/png;base64,' + b"A" * 10_000_000 + b'"}',
        b'{"image":"' + b"A\\/" * 500_000 + b'"}',
        b'{"prompt":"' + b",:[]{}" * 500_000 + b'"}',
        b'{"prompt":"' + b'\\"' * 50_000 + b'"}',
        b" " * 1_000_000 + b"{}",
        b"[" + b",".join([b"0.123456789"] * 9_999) + b"]",
        b"{" + b",".join(b'"%d":1' % number for number in range(4_000)) + b"}",
    ],
    ids=["a picture", "escaped slashes", "syntax in a text", "escaped quotes", "white space", "values", "keys"],
)
def test_large_and_simple_bodies_are_accepted(text):
    assert accepts(text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be"])
def test_other_encodings_are_refused(encoding):
    with pytest.raises(InvalidJson, match="UTF-8"):
        check_json('{"prompt": "x"}'.encode(encoding), JsonLimits())


def test_a_refusal_names_the_field_and_the_limit():
    with pytest.raises(JsonTooComplex, match="The loras has more than 10,000 values"):
        check_json(b"[" + b"1," * 20_000, JsonLimits(), field="loras")


@pytest.mark.parametrize("item", [b"1", b'"a"', b"[]", b'"a":1', b'"\\""', b"["])
def test_the_work_does_not_grow_with_what_is_beyond_the_limits(item):
    small, large = (work_of(b"[" + (item + b",") * count) for count in (100_000, 1_000_000))
    assert large <= 2 * small + 1_000  # a garbage collection may add some


def work_of(text):
    """Count the calls that a scan makes."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        accepts(text)
    finally:
        sys.setprofile(None)
    return calls
