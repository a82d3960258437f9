"""The commands about traces, as users type them."""

import json

import pytest

from safelight.cli import main
from traces.samples import SAMPLES


@pytest.fixture
def katz(tmp_path):
    path = tmp_path / "katz.json"
    path.write_text(SAMPLES["katz"])
    return path


@pytest.fixture
def said(capsys):
    """Run a command and return exit status, standard output and standard error."""

    def run(*arguments):
        status = main(["trace", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def test_a_trace_is_converted_and_described(katz, tmp_path, said):
    assert said("convert", katz, tmp_path / "a.parquet") == (0, "", "")
    status, out, _ = said("describe", tmp_path / "a.parquet", "--json")
    description = json.loads(out)
    assert (status, description["source"], description["whole"]["requests"]) == (0, "katz", 2)
    assert [facts["service"] for facts in description["services"]] == ["A", "B"]


def test_a_description_is_words_and_numbers(katz, said):
    status, out, _ = said("describe", katz)
    assert status == 0
    assert [words for words in ("katz.json (katz)", "requests", "ControlNets", "LoRAs") if words not in out] == []


def test_one_service_can_be_described(katz, said):
    _, out, _ = said("describe", katz, "--service", "A", "--json")
    assert json.loads(out)["whole"] | {"service": "A", "requests": 1} == json.loads(out)["whole"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("describe", "none.json"), 1, "There is no file 'none.json'"),
        (("describe", "KATZ", "--service", "C"), 2, "'C'; there is 'A', 'B'"),
        (("convert", "KATZ", "a.txt"), 2, "'a.txt' does not tell its format"),
        (("convert", "KATZ", "a.txt", "--format", "kats"), 2, "did you mean 'katz'"),
        (("convert", "KATZ", "a.txt", "--format", "diffserve"), 1, "needs prompt_id"),
        (("convert", "KATZ", "no/folder/a.parquet"), 1, "Cannot write 'no/folder/a.parquet': No such file"),
        (("convert", "KATZ", "/dev/full", "--format", "katz"), 1, "No space left on device"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(katz, said, arguments, status, words, monkeypatch):
    monkeypatch.chdir(katz.parent)
    told = said(*(katz.name if argument == "KATZ" else argument for argument in arguments))
    assert told[0] == status
    assert words in told[2]
    assert told[2].startswith("error: ")
    assert told[2].count("\n") == 1


def test_the_lenient_are_told_what_was_left_out_and_the_strict_what_to_do(katz, said):
    katz.write_text(SAMPLES["katz"][:-1])
    status, _, err = said("describe", katz)
    assert (status, "With --lenient" in err) == (1, True)
    status, out, err = said("describe", katz, "--lenient", "--json")
    assert (status, json.loads(out)["whole"]["requests"]) == (0, 2)
    assert f"left out: 1: broken JSON from byte {katz.stat().st_size} on" in err
