"""A running server follows its keys file, and keeps its keys while the file is broken."""

import os

import pytest

from safelight.access.keys_file import KeysFileError, add_key, remove_keys
from safelight.access.watched_keys import KeysChange, WatchedKeys


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "keys.txt"
    add_key(path, "alice", "user")
    return path


@pytest.fixture
def watched(file):
    return WatchedKeys(file)


def test_a_file_that_stays_the_same_is_no_news(watched):
    assert watched.look() is None


def test_an_added_and_a_removed_key_are_seen(watched, file):
    (old,) = watched.ring.entries
    key, new = add_key(file, "bob", "user")
    assert watched.look() == KeysChange(added=(new.id,))
    assert watched.ring.caller(key.encode()).tenant == "bob"
    remove_keys(file, "alice")
    assert watched.look() == KeysChange(removed=(old.id,))
    assert watched.ring.tenants == {"bob"}


def test_another_role_of_a_key_is_seen(watched, file):
    (entry,) = watched.ring.entries
    file.write_text(file.read_text().replace(" user ", " admin "))
    assert watched.look() == KeysChange(changed=(entry.id,))


def test_a_change_is_seen_that_neither_time_nor_size_shows(watched, file):
    before = file.stat()
    file.write_text(file.read_text().replace("alice", "alicf"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert watched.look() is not None
    assert watched.ring.tenants == {"alicf"}


@pytest.mark.parametrize("content", ["alice user x", ""])
def test_a_broken_file_keeps_the_keys_and_is_news_once(content, watched, file):
    file.write_text(content)
    assert isinstance(watched.look().error, KeysFileError)
    assert watched.look() is None
    assert watched.is_broken
    assert watched.ring.tenants == {"alice"}


def test_a_missing_file_keeps_the_keys_and_its_return_is_news(watched, file):
    content = file.read_bytes()
    file.unlink()
    assert watched.look().error is not None
    file.write_bytes(content)
    assert watched.look() == KeysChange()
    assert not watched.is_broken


def test_the_last_key_stops_working_when_it_is_removed(watched, file):
    remove_keys(file, "alice")
    assert watched.look().error is None
    assert watched.ring.entries == ()


def test_a_server_does_not_start_without_keys(file):
    remove_keys(file, "alice")
    with pytest.raises(KeysFileError, match="has no keys"):
        WatchedKeys(file)
