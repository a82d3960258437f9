"""Keys are random, stored as hashes, and recognized exactly."""

import hashlib

import pytest

from safelight.access.caller import Caller
from safelight.access.keys import LONGEST_KEY, KeyEntry, KeyRing, digest_of, new_key


def entry(key, tenant="alice", role="user"):
    return KeyEntry(tenant=tenant, role=role, digest=digest_of(key))


def test_no_two_keys_are_alike_and_each_has_256_random_bits():
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {len("sl_") + 43}


def test_what_is_stored_is_the_sha256_that_any_tool_computes():
    assert digest_of(b"key") == hashlib.sha256(b"key").digest()


def test_a_key_stands_for_its_tenant_and_role():
    ring = KeyRing([entry(b"one"), entry(b"two", "ops", "admin")])
    assert ring.caller(b"two") == Caller(tenant="ops", role="admin", key=digest_of(b"two").hex()[:8])


def test_all_keys_of_a_tenant_are_accepted():
    ring = KeyRing([entry(b"old"), entry(b"new")])
    assert {ring.caller(key).tenant for key in (b"old", b"new")} == {"alice"}


@pytest.mark.parametrize(
    "key", [b"", b"On", b"one ", b"one\0", b"one" * 1000, digest_of(b"one"), b"x" * (LONGEST_KEY + 1)]
)
def test_what_is_not_exactly_a_key_is_none(key):
    assert KeyRing([entry(b"one")]).caller(key) is None


def test_neither_the_digest_nor_more_than_its_beginning_names_a_key_in_logs():
    assert entry(b"one").id == digest_of(b"one").hex()[:8]


@pytest.mark.parametrize(("role", "owns_other"), [("user", False), ("metrics", False), ("admin", True)])
def test_only_an_administrator_owns_what_others_have(role, owns_other):
    caller = Caller(tenant="alice", role=role, key="")
    assert caller.owns("alice")
    assert caller.owns("bob") == owns_other
    assert caller.owns("") == owns_other
