"""The key is found in the one Authorization header, and nowhere else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.server.credentials import LONGEST_HEADER, key_in


def basic(text):
    return b"Basic " + base64.b64encode(text)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (b"Bearer key", b"key"),
        (b"bearer key", b"key"),
        (b"BEARER   key  ", b"key"),
        (b"Bearer a b", b"a b"),
        (b"Bearer k\xfcy", b"k\xfcy"),
        (b"Bearer k\0y", b"k\0y"),
        (basic(b"user:key"), b"key"),
        (basic(b":key"), b"key"),
        (basic(b"user:k:e:y"), b"k:e:y"),
        (basic(b"user:key").replace(b"Basic", b"bAsIc"), b"key"),
    ],
)
def test_a_key_is_a_bearer_token_or_a_password(header, key):
    assert key_in([header]) == key


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b" ",
        b"Bearer",
        b"Bearer ",
        b"Bearer\tkey",
        b"key",
        b"Basic",
        b"Basic !!",
        basic(b"no colon"),
        basic(b"user:"),
        b"Digest key",
        b"Token key",
        b"Bearer " + b"x" * LONGEST_HEADER,
        b"Basic \xff\xfe",
    ],
)
def test_half_a_credential_is_none(header):
    assert key_in([header]) is None


@pytest.mark.parametrize("headers", [[], [b"Bearer key", b"Bearer key"], [b"Bearer key", b"Basic eDpr"]])
def test_only_one_header_is_believed(headers):
    assert key_in(headers) is None


@given(st.lists(st.binary(max_size=60), max_size=3))
def test_no_header_breaks_it(headers):
    assert key_in(headers) is None or isinstance(key_in(headers), bytes)
