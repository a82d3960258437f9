"""The keys file is read strictly, never shows what may be a key, and is written whole."""

import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.access.caller import ROLES
from safelight.access.keys import KeyRing, digest_of
from safelight.access.keys_file import (
    MAX_FILE_BYTES,
    KeysFileError,
    UnknownKey,
    add_key,
    looseness,
    parse_keys,
    read_keys,
    remove_keys,
)
from safelight.core.errors import InvalidParameter

HASH = "sha256:" + digest_of(b"one").hex()
OTHER = "sha256:" + digest_of(b"two").hex()
PLAIN_KEY = "sl_this-is-a-key-in-plain-text-and-has-43-chars"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.txt"


def refusal(content, file):
    """What is said about a file with this content."""
    with pytest.raises(KeysFileError) as caught:
        parse_keys(content.encode() if isinstance(content, str) else content, file)
    return str(caught.value)


def test_a_file_is_lines_of_tenant_role_and_hash_with_comments(file):
    text = f"# ours\n\n  alice\tuser  {HASH}  # since May\r\nops admin {OTHER.upper().replace('SHA256', 'sha256')}"
    entries = parse_keys(b"\xef\xbb\xbf" + text.encode(), file)
    assert [(each.tenant, each.role) for each in entries] == [("alice", "user"), ("ops", "admin")]
    assert KeyRing(entries).caller(b"two").tenant == "ops"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"alice user {PLAIN_KEY}", "safelight keys add alice"),
        (f"alice user {HASH[7:]}", "'sha256:'"),
        (f"alice user {HASH[:-1]}", "no hash"),
        (f"alice user {HASH}0", "no hash"),
        (f"alice {HASH}", "2 fields"),
        (f"{PLAIN_KEY}", "1 fields"),
        (f"alice user {HASH} more", "4 fields"),
        (f"alice {PLAIN_KEY} {HASH}", "user, admin, metrics"),
        (f"alice Admin {HASH}", "user, admin, metrics"),
        (f"../alice user {HASH}", "the tenant"),
        (f"ali\0ce user {HASH}", "the tenant"),
        (f"älice user {HASH}", "the tenant"),
        (f"{'a' * 65} user {HASH}", "the tenant"),
        (b"alice user \xff", "not UTF-8"),
        (f"bob admin {OTHER}", "the same key as line 1"),
    ],
)
def test_a_broken_line_is_named_and_what_may_be_a_key_is_not_shown(line, words, file):
    line = line.encode() if isinstance(line, str) else line
    said = refusal(f"carl user {OTHER}\n\n".encode() + line + b"\n", file)
    assert "line 3" in said
    assert words in said
    assert PLAIN_KEY not in said
    assert HASH[7:] not in said


@pytest.mark.parametrize("content", ["", "\n", "  \n\n"])
def test_an_empty_file_is_taken_for_a_half_written_one(content, file):
    assert "empty" in refusal(content, file)


def test_a_file_of_comments_has_no_keys(file):
    assert parse_keys(b"# nobody\n", file) == ()


def test_what_is_no_file_of_sensible_size_is_refused(tmp_path, file):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(KeysFileError):
            read_keys(path)
    file.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(KeysFileError, match="bytes"):
        read_keys(file)


def test_an_added_key_is_accepted_and_not_stored(file):
    key, entry = add_key(file, "alice", "user")
    assert KeyRing(read_keys(file)).caller(key.encode()).key == entry.id
    assert key not in file.read_text()


def test_a_new_file_is_for_its_owner_only(file):
    add_key(file, "alice", "user")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert looseness(file) is None


@pytest.mark.parametrize(
    ("before", "after"), [(0o644, 0o600), (0o666, 0o600), (0o640, 0o640), (0o660, 0o640), (0o400, 0o600)]
)
def test_a_changed_file_is_closed_to_others_and_stays_open_to_a_group_that_was_let_in(before, after, file):
    add_key(file, "alice", "user")
    file.chmod(before)
    add_key(file, "bob", "user")
    assert stat.S_IMODE(file.stat().st_mode) == after


@pytest.mark.parametrize(
    ("mode", "is_loose"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True), (0o620, True)]
)
def test_a_file_is_loose_if_others_may_read_or_change_it(mode, is_loose, file):
    add_key(file, "alice", "user")
    file.chmod(mode)
    assert looseness(file) == (f"{mode:04o}" if is_loose else None)


def test_comments_and_foreign_lines_survive_changes(file):
    text = f"# ours\n\nalice user {HASH}  # since May\n"
    file.write_text(text)
    add_key(file, "bob", "admin")
    remove_keys(file, "bob")
    assert file.read_text() == text


def test_a_link_stays_a_link(tmp_path, file):
    link = tmp_path / "link"
    link.symlink_to(file)
    add_key(link, "alice", "user")
    assert link.is_symlink()
    assert len(read_keys(file)) == 1


def test_all_keys_of_a_tenant_are_removed_or_the_one_that_is_named(file):
    first, second = (add_key(file, "alice", "user")[1] for _ in range(2))
    add_key(file, "bob", "user")
    assert remove_keys(file, "alice", second.id) == (second,)
    assert remove_keys(file, "alice") == (first,)
    assert [entry.tenant for entry in read_keys(file)] == ["bob"]


def test_the_last_key_can_be_removed(file):
    add_key(file, "alice", "user")
    remove_keys(file, "alice")
    assert read_keys(file) == ()


@pytest.mark.parametrize(("tenant", "key", "words"), [("alic", None, "'alice'"), ("alice", "00000000", "has no key")])
def test_a_key_that_is_not_there_cannot_be_removed(tenant, key, words, file):
    add_key(file, "alice", "user")
    before = file.read_bytes()
    with pytest.raises(UnknownKey, match=words):
        remove_keys(file, tenant, key)
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["", "a b", "#a", "-a", "a\n", "é", "a/b", "a" * 65])
def test_not_every_text_names_a_tenant(name, file):
    with pytest.raises(InvalidParameter):
        add_key(file, name, "user")
    assert not file.exists()


def test_a_broken_file_is_not_changed(file):
    file.write_text("alice user secret\n")
    with pytest.raises(KeysFileError, match="line 1"):
        add_key(file, "bob", "user")
    assert file.read_text() == "alice user secret\n"


def test_keys_that_are_added_at_once_are_all_there(file):
    adding = [threading.Thread(target=add_key, args=(file, f"tenant-{number}", "user")) for number in range(8)]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join()
    assert len(read_keys(file)) == 8
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@given(content=st.binary(max_size=200) | st.text(alphabet="alice user#\nsha256:0f\r\t", max_size=200).map(str.encode))
def test_whatever_a_file_holds_is_read_or_refused(content, tmp_path_factory):
    try:
        entries = parse_keys(content, tmp_path_factory.getbasetemp() / "keys.txt")
    except KeysFileError:
        return
    assert all(entry.role in ROLES for entry in entries)
