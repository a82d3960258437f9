"""Questions about traces on the command line."""

import json

import polars as pl
import pytest

from safelight.cli import main
from safelight.cli.trace.analysis_commands import ABOUT
from safelight.traces.parquet import write_parquet

COMMANDS = (*ABOUT, "working-set", "routing")


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "trace.parquet"
    rows = [
        {"arrival_s": at**1.1, "service": "AB"[at % 2], "instance": "xyz"[at % 3], "loras": ["a", "bcd"[at % 3]]}
        for at in range(90)
    ]
    write_parquet(pl.LazyFrame(rows), path, source="a test")
    return str(path)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_question_is_answered_for_each_service_as_json_csv_and_figure(command, trace, tmp_path, capsys):
    csv, figure = tmp_path / "table.csv", tmp_path / "figure.svg"
    assert main(["trace", command, trace, "--json", "--csv", str(csv), "--figure", str(figure)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["service"] for row in rows} == {"A", "B"}
    assert (len(pl.read_csv(csv)), figure.read_text("utf-8").startswith("<?xml")) == (len(rows), True)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_question_is_answered_in_words_for_one_service(command, trace, capsys):
    assert main(["trace", command, trace, "--service", "A"]) == 0
    assert capsys.readouterr().out.rstrip().endswith(".")


def test_routing_is_counted_in_the_seconds_that_are_given(trace, capsys):
    options = ["--instances", "2,1", "--size", "1", "--lora-load-s", "0", "--controlnet-load-s", "0", "--work-s", "0"]
    assert main(["trace", "routing", trace, "--service", "A", "--json", *options]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["instances"] for row in rows if row["routing"] != "recorded"} == {1, 2}
    assert {row["load_s_per_request"] + row["wait_s_per_request"] for row in rows} == {0}


def test_a_report_is_written_and_its_place_told(trace, tmp_path, capsys):
    page = tmp_path / "report.html"
    assert main(["trace", "report", trace, "-o", str(page), "--service", "B"]) == 0
    assert (capsys.readouterr().out.strip(), "Service B" in page.read_text("utf-8")) == (str(page), True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["arrivals", "--service", "C"], "No request is for the service 'C'"),
        (["working-set", "--window", "hours"], "did you mean 'hour'"),
        (["routing", "--instances", "4,x"], "give numbers from 1 to 100,000"),
        (["routing", "--instances", "0"], "give numbers from 1 to 100,000"),
        (["routing", "--bound", "0.5"], "greater than or equal to 1"),
        (["report", "-o", "nowhere/report.html"], "There is no folder 'nowhere'"),
    ],
)
def test_what_cannot_be_asked_is_misuse(arguments, words, trace, capsys):
    command, *options = arguments
    assert main(["trace", command, trace, *options]) == 2
    assert words in capsys.readouterr().err
