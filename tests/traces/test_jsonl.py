import json

import pytest

from safelight.traces.errors import BadTrace
from safelight.traces.reading import open_trace


def opened(tmp_path, *lines, **options):
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return open_trace(path, **options)


def test_lines_are_requests(tmp_path):
    trace = opened(tmp_path, {"arrival_s": 1.5, "loras": [{"name": "a", "scale": 0.5}, None]}, {"arrival_s": 2})
    assert trace.frame.collect()["arrival_s"].to_list() == [1.5, 2.0]
    assert trace.frame.collect()["loras"].to_list() == [
        [{"name": "a", "scale": 0.5}, {"name": None, "scale": None}],
        None,
    ]


def test_requests_are_put_in_order_of_arrival_and_that_is_told(tmp_path):
    trace = opened(tmp_path, {"arrival_s": 2.0, "service": "late"}, {"arrival_s": 1.0, "service": "early"})
    assert trace.frame.collect()["service"].to_list() == ["early", "late"]
    assert trace.notes == ("Requests were put in order of arrival; 1 stood below one that arrived later.",)


@pytest.mark.parametrize(
    ("line", "words", "reason"),
    [
        ({"arrival_s": 1, "lora": []}, "did you mean 'loras'", "unknown fields"),
        ({"arrival_s": "soon"}, r"Expected `float \| null`, got `str`", "wrong types"),
        ({"arrival_s": -3.5}, "arrival_s is -3.5, but it must be at least 0", "arrival_s must be at least 0"),
        ({"arrival_s": 1, "service": ""}, "service is '', but it must not be empty", "service must not be empty"),
        ({"arrival_s": 1, "request_id": "x"}, "request_id is 'x', but it must be unique", "request_id must be unique"),
        ('{"arrival_s": 1', "truncated", "broken JSON"),
    ],
)
def test_a_bad_request_is_an_error_or_counted(tmp_path, line, words, reason):
    good = {"arrival_s": 0.0, "request_id": "x"}
    with pytest.raises(BadTrace, match=f"line 2: .*{words}"):
        opened(tmp_path, good, line)
    trace = opened(tmp_path, good, line, lenient=True)
    assert (len(trace.frame.collect()), trace.dropped) == (1, {reason: 1})
