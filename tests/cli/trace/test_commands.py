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


def test_a_trace_is_made_up_after_a_published_one_and_another_after_that(tmp_path, said):
    first, second = tmp_path / "first.json", tmp_path / "second.parquet"
    status, out, err = said("synthesize", "--like", "katz", "--requests", 300, "--instances", 4, "-o", first)
    assert (status, out) == (0, "")
    assert "300 synthesized requests" in err
    assert {"scene_id", "ip", "timestamp", "loras"} < set(json.loads(first.read_text())[0])
    wishes = ("--skew", 1.2, "--bursts", 4, "--diurnal", 0.5, "--rate-scale", 2, "--prompts", "shapes")
    sizes = ("--requests", 100, "--instances", 3, "--deadlines", 30)
    status, _, _ = said("synthesize", "--like", first, *sizes, *wishes, "-o", second)
    assert status == 0
    description = json.loads(said("describe", second, "--json")[1])
    assert description["whole"]["requests"] == 100
    assert description["whole"]["origins"] == {"synthesized": 100}
    assert description["source"] == f"synthesized like {first}, seed 0"


def test_made_up_requests_say_so_even_where_the_format_has_no_place_for_it(tmp_path, said):
    path = tmp_path / "trace.json"
    said("synthesize", "--like", "katz-b", "--requests", 50, "--instances", 2, "-o", path)
    assert json.loads(said("describe", path, "--json")[1])["whole"]["origins"] == {"synthesized": 50}


def test_durations_come_from_another_trace_and_deadlines_from_them(tmp_path, said):
    other, made_up = tmp_path / "other.jsonl", tmp_path / "made_up.jsonl"
    other.write_text('{"arrival_s": 1, "duration_s": 4.0, "steps": 7}\n')
    like = ("--like", "katz-a", "--requests", 20, "--instances", 1)
    assert said("synthesize", *like, "--durations-from", other, "--deadlines", "2x", "-o", made_up)[0] == 0
    rows = [json.loads(line) for line in made_up.read_text().splitlines()]
    assert {(row["steps"], row["duration_s"], row["deadline_s"]) for row in rows} == {(7, 4.0, 8.0)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--like", "katz-c"), "did you mean 'katz-b' or 'katz-a'"),
        (("--like", "katz-a", "--requests", 10, "--instances", 165), "cannot be shared among 165 instances"),
        (("--like", "katz-a", "--deadlines", "soon"), "give seconds, as in 30, or times the duration, as in 2x"),
        (("--like", "katz-a", "--deadlines", "0x"), "'0x'"),
        (("--like", "katz-a", "--prompts", "nowhere.txt"), "'shapes' needs none"),
        (("--like", "katz-a", "--bursts", 0.5), "at least 1"),
        (("--like", "katz-a", "--format", "kats"), "did you mean 'katz'"),
    ],
    ids=str,
)
def test_what_cannot_be_made_up_is_misuse(tmp_path, said, arguments, words):
    status, out, err = said("synthesize", *arguments, "-o", tmp_path / "trace.json")
    assert (status, out) == (2, "")
    assert words in err
    assert list(tmp_path.iterdir()) == []
