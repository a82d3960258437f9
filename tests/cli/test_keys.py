"""`safelight keys`: the key is shown once, and its hash is in the file."""

import json

import pytest

from safelight.access.keys import KeyRing
from safelight.access.keys_file import read_keys
from safelight.cli import main


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.txt"


def run(arguments, file, capsys):
    """Return exit status, standard output and standard error of one command line."""
    status = main(["keys", *arguments, "--file", str(file)])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_key_and_nothing_else_is_on_standard_output(file, capsys):
    status, out, err = run(["add", "alice"], file, capsys)
    assert (status, out.count("\n")) == (0, 1)
    assert KeyRing(read_keys(file)).caller(out.strip().encode()).tenant == "alice"
    assert out.strip() not in err


@pytest.mark.parametrize(("options", "role"), [([], "user"), (["--admin"], "admin"), (["--metrics"], "metrics")])
def test_a_key_has_the_role_that_is_asked_for(options, role, file, capsys):
    run(["add", "alice", *options], file, capsys)
    assert [entry.role for entry in read_keys(file)] == [role]


def test_a_key_has_one_role(file, capsys):
    status, _, err = run(["add", "alice", "--admin", "--metrics"], file, capsys)
    assert (status, "one of them" in err, file.exists()) == (2, True, False)


def test_listed_keys_are_named_as_in_logs(file, capsys):
    run(["add", "alice"], file, capsys)
    _, out, _ = run(["list", "--json"], file, capsys)
    assert json.loads(out) == [{"tenant": "alice", "role": "user", "key": read_keys(file)[0].id}]
    assert read_keys(file)[0].id in run(["list"], file, capsys)[1]


def test_a_file_that_others_can_read_is_warned_of(file, capsys):
    run(["add", "alice"], file, capsys)
    file.chmod(0o644)
    assert "chmod 600" in run(["list"], file, capsys)[2]


def test_a_removed_key_is_gone(file, capsys):
    run(["add", "alice"], file, capsys)
    run(["add", "bob"], file, capsys)
    status, out, _ = run(["remove", "alice"], file, capsys)
    assert (status, "of alice is deleted" in out) == (0, True)
    assert [entry.tenant for entry in read_keys(file)] == ["bob"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["add", "a b"], 2, "'a b'"),
        (["remove", "alic"], 1, "did you mean 'alice'?"),
        (["remove", "alice", "--key", "0"], 1, "alice has no key"),
    ],
)
def test_a_mistake_is_explained(arguments, status, words, file, capsys):
    run(["add", "alice"], file, capsys)
    got, out, err = run(arguments, file, capsys)
    assert (got, out, words in err) == (status, "", True)


def test_a_broken_file_is_explained_without_what_it_holds(file, capsys):
    file.write_text("alice user sl_plain-text\n")
    for arguments in (["list"], ["add", "bob"], ["remove", "alice"]):
        status, _, err = run(arguments, file, capsys)
        assert (status, "line 1 (alice)" in err, "plain-text" in err) == (1, True, False)
