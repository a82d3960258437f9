"""Log entries: for people at a terminal, for programs elsewhere; data of clients cannot imitate an entry."""

import io
import json
import logging
import re

import pytest

from safelight.core.log import LogForm
from safelight.server.log_forms import MOST_CHARACTERS
from safelight.server.logs import ForwardToLog, Seldom, make_log

ENTRY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[(\w+) *\] (.*)")

HOSTILE = [
    "/a\n2026-12-01 05:22:31 [info     ] server ready",
    "/a\r\n{}",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "a\x85b\u2028c\u2029d",
    "\u202egnp.exe",
    "\x00\x7f",
    "\udc80",
    "a=b level=error",
    "",
]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def written(form: LogForm, **facts):
    stream = io.StringIO()
    make_log(stream, form=form).info("request", **facts)
    return stream.getvalue()


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("form", ["console", "json"])
def test_data_of_clients_stays_on_its_line_and_sends_nothing_to_the_terminal(form, text):
    for facts in ({"path": text}, {"names": [text]}, {"error": ValueError(text)}):
        (line, end) = written(form, **facts).split("\n")
        assert (line.isprintable(), end) == (True, "")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_json_keeps_such_data(text):
    assert json.loads(written("json", path=text))["path"] == text


@pytest.mark.parametrize("text", [text for text in HOSTILE if not text.isalnum()], ids=ascii)
def test_the_console_quotes_such_data(text):
    assert repr(text) in written("console", path=text)


@pytest.mark.parametrize("form", ["console", "json"])
def test_an_event_with_line_breaks_stays_on_its_line(form):
    stream = io.StringIO()
    make_log(stream, form=form).warning("a\n2026-12-01 05:22:31 [info     ] b")
    assert stream.getvalue().count("\n") == 1


def test_no_line_of_a_traceback_looks_like_an_entry():
    stream = io.StringIO()
    log = make_log(stream, form="console")
    try:
        raise ValueError("x\n2026-12-01 05:22:31 [info     ] server ready\r\x1b[2J")  # noqa: TRY301 - it is the test
    except ValueError:
        log.exception("unexpected error")
    first, *rest = stream.getvalue().splitlines()
    assert ENTRY.fullmatch(first)
    assert rest[-1].startswith("    ")
    assert all(line.startswith("    ") and line.isprintable() for line in rest)


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_long_value_is_cut(form):
    assert MOST_CHARACTERS < len(written(form, path="a" * 100_000)) < 2 * MOST_CHARACTERS


@pytest.mark.parametrize(
    "value", [1 << 80, {"a": object()}, b"\xff", float("nan")], ids=lambda value: type(value).__name__
)
@pytest.mark.parametrize("form", ["console", "json"])
def test_any_value_can_be_logged(form, value):
    assert written(form, value=value).count("\n") == 1


def test_a_terminal_gets_text_in_colours(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    make_log(stream).info("worker lost", worker="w1")
    assert "\x1b[" in stream.getvalue()
    assert ENTRY.fullmatch(re.sub(r"\x1b\[\d+m", "", stream.getvalue()).strip()).groups() == (
        "info",
        "worker lost        worker=w1",
    )


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_declined(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    stream = Terminal()
    make_log(stream).info("worker lost")
    assert "\x1b" not in stream.getvalue()


def test_what_is_no_terminal_gets_json():
    assert json.loads(written("auto", worker="w1"))["worker"] == "w1"


def test_console_text_in_a_file_has_no_colours():
    assert ENTRY.fullmatch(written("console", worker="w1").strip())


def test_a_terminal_can_be_given_json():
    stream = Terminal()
    make_log(stream, form="json").info("x")
    assert json.loads(stream.getvalue())["event"] == "x"


def test_entries_below_the_level_are_left_out():
    stream = io.StringIO()
    log = make_log(stream, level="warning")
    log.info("a")
    log.warning("b")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["b"]


def test_the_console_leaves_out_fields_without_a_value():
    assert "reason" not in written("console", reason=None)


def test_records_of_libraries_become_entries():
    stream = io.StringIO()
    record = logging.LogRecord("uvicorn.error", logging.WARNING, __file__, 1, "bad %s", ("x\ny",), None)
    ForwardToLog(make_log(stream)).handle(record)
    entry = json.loads(stream.getvalue())
    assert (entry["event"], entry["level"], entry["source"]) == ("bad x\ny", "warning", "uvicorn.error")


def test_a_library_that_repeats_itself_is_heard_once_a_minute():
    now = [100.0]
    seldom = Seldom("opentelemetry.", every_s=60, now_s=lambda: now[0])
    passed = []
    for now[0] in (100, 110, 159, 161):
        passed.append(seldom(logging.makeLogRecord({"name": "opentelemetry.sdk"})))
        assert seldom(logging.makeLogRecord({"name": "uvicorn.error"}))
    assert passed == [True, False, False, True]


def test_a_record_that_cannot_be_written_costs_itself_only(capsys):
    stream = io.StringIO()
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "%d", ("no number",), None)
    ForwardToLog(make_log(stream)).handle(record)
    assert stream.getvalue() == ""
    assert "Logging error" in capsys.readouterr().err
