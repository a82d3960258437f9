"""No answer ends a load, holds it up, or fills a memory, a terminal or a file of results."""

import math
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.makers import make_requests, ran
from fakes.odd_server import answer, odd_server, picture, saying
from safelight.bench.client.event_stream import EventStreamParser
from safelight.bench.client.responses import retry_after_s
from safelight.bench.endpoints.chat import Chat
from safelight.bench.endpoints.endpoint import MOST_STAGES, ServerMetrics, result_of
from safelight.bench.endpoints.generations import StreamedGenerations
from safelight.bench.endpoints.videos import Videos
from safelight.bench.failures import KINDS, MOST_CHARACTERS, Failure, failure_of_exception

DEEP = '{"%s": ' + "[" * 200_000 + "]" * 200_000 + "}"
PACKED = zlib.compressobj(wbits=31)
PACKED = PACKED.compress(picture().encode()) + PACKED.flush()
QUEUED = '{"id": "a", "status": "queued"}'

ANSWERS = {
    "deep field": (answer(DEEP % "error"), {}, "not_json"),
    "deep field that nobody reads": (answer(DEEP % "x"), {}, "not_json"),
    "deep error": (answer(DEEP % "error", status="500 No"), {}, "server_error"),
    "deep chat": (answer(DEEP % "error"), {"endpoint": Chat()}, "not_json"),
    "deep job": (answer(DEEP % "error"), {"endpoint": Videos()}, "not_json"),
    "deep event": (
        answer(f"data: {DEEP % 'error'}\n\n", kind="text/event-stream"),
        {"endpoint": StreamedGenerations()},
        "not_json",
    ),
    "an error of very many digits": (answer(f'{{"error": {"1" * 5000}}}', status="500 No"), {}, "server_error"),
    "a late year": (
        answer("{}", status="429 No", Retry_After=f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT"),
        {},
        "rejected",
    ),
    "a pause of many digits": (
        answer(QUEUED, openai_poll_after_ms="9" * 400),
        {"endpoint": Videos()},
        "timeout",
    ),
    "a pause of very many digits": (
        answer(QUEUED, openai_poll_after_ms="9" * 5000),
        {"endpoint": Videos()},
        "timeout",
    ),
    "a job that leads elsewhere": (answer('{"id": "..", "status": "failed"}'), {"endpoint": Videos()}, "no_picture"),
    "packed": (answer(PACKED, Content_Encoding="gzip"), {}, "packed"),
    "packed error": (answer("no gzip", status="502 No", Content_Encoding="gzip"), {}, "unavailable"),
    "packed stream": (
        answer(PACKED, kind="text/event-stream", Content_Encoding="gzip"),
        {"endpoint": StreamedGenerations()},
        "packed",
    ),
}


@pytest.mark.parametrize(("data", "more", "kind"), ANSWERS.values(), ids=ANSWERS)
def test_an_odd_answer_fails_its_request_and_no_other(data, more, kind):
    done = ran(odd_server(saying(data)), make_requests(2, every_s=0.02), timeout_s=0.3, **more)
    assert [record.failure for record in done.records] == [kind] * 2


@pytest.mark.parametrize("pause", ["1e9", "inf", "9" * 400, "Mon, 01 Jan 2999 00:00:00 GMT"])
def test_a_pause_that_a_request_has_no_time_for_is_not_waited_for(pause):
    full = saying(answer("{}", status="429 Too Many Requests", Retry_After=pause))
    (record,) = ran(odd_server(full), make_requests(1), retries=5).records
    assert (record.failure, record.turned_away) == ("rejected", 1)
    assert "is too long" in record.message


def test_a_request_and_its_retries_share_one_time_limit():
    full = saying(answer("{}", status="429 Too Many Requests", Retry_After="0.3"))
    (record,) = ran(odd_server(full), make_requests(1), retries=20, timeout_s=0.5).records
    assert (record.failure, record.turned_away) == ("rejected", 2)


@given(st.one_of(st.text(max_size=40), st.floats().map(str), st.dates().map("{:%a, %d %b %Y} 00:00:00 GMT".format)))
def test_whatever_retry_after_says_is_a_time_or_nothing(said):
    pause_s = retry_after_s({"Retry-After": said})
    assert pause_s is None or pause_s >= 0


def test_a_message_of_a_server_has_nothing_in_it_that_a_terminal_obeys():
    said = r'{"error": {"message": "\u001b]0;owned\u0007\n\u009b31m\u202e"}}'
    (record,) = ran(odd_server(saying(answer(said, status="500 No"))), make_requests(1)).records
    assert record.message == r"status 500: \x1b]0;owned\x07\n\x9b31m\u202e"


@given(st.sampled_from([*KINDS]), st.text(max_size=30), st.integers(0, 100))
def test_every_failure_has_a_message_that_can_be_printed_on_one_line(kind, text, times):
    message = Failure(kind, text * times).message
    assert not message or (message.isprintable() and len(message) <= MOST_CHARACTERS)


def test_a_connection_that_was_closed_between_two_reads_was_closed():
    assert failure_of_exception(RuntimeError("Connection closed."), 1.0).kind == "closed"


def test_figures_have_room_for_so_many_stages_and_no_more():
    durations_s = {f"\x1b{number}{'x' * 1000}": 1.0 for number in range(10_000)}
    found = result_of([], 0.0, [ServerMetrics(stage_durations=durations_s)]).stages_s
    assert len(found) == MOST_STAGES
    assert all(name.isprintable() and len(name) < 100 for name in found)


@pytest.mark.parametrize("amount", [-1.0, math.inf, math.nan])
def test_times_that_cannot_be_are_not_taken_from_a_server(amount):
    told = [ServerMetrics(queue_s=amount, stage_durations={"a": amount, "b": 2.0}), ServerMetrics(queue_s=1.0)]
    found = result_of([], 0.0, told)
    assert (found.queue_s, found.stages_s) == (1.0, {"b": 2.0})


def test_a_format_is_kept_in_short():
    assert len(result_of([], 0.0, [], format="x" * 1_000_000).format) < 100


EVENTS = st.lists(st.lists(st.binary(max_size=9).filter(lambda data: not set(data) & set(b"\r\n")), max_size=3))


@given(EVENTS, st.sampled_from([b"\n", b"\r\n"]), st.data())
def test_events_are_the_same_however_their_stream_is_cut(events, end, data):
    stream = b"".join(b"".join(b"data: " + line + end for line in event) + b": x" + end + end for event in events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    taken = EventStreamParser(most_bytes=1 << 20)
    pieces = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = [each for piece in pieces for each in taken.feed(piece)]
    whole = [b"\n".join(line.strip() for line in event) for event in events]
    assert found == [each for each in whole if each]


def test_an_event_without_an_end_is_not_kept_for_ever():
    events = EventStreamParser(most_bytes=1000)
    assert events.feed(b"data: 0123456789\n" * 80) == []
    with pytest.raises(Failure, match="an event has more than"):
        events.feed(b"data: 0123456789\n" * 20)
