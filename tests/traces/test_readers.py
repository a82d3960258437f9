"""Each format as its publishers write it."""

import csv
import gzip
from datetime import UTC, datetime

import pytest
import zstandard

from safelight.traces.errors import BadTrace
from safelight.traces.reading import READERS, open_trace
from safelight.traces.schema import SCHEMA, names_of
from traces.samples import SAMPLES


def opened(tmp_path, text, **options):
    path = tmp_path / "trace"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_trace(path, **options)


def rows(tmp_path, name, *columns):
    return opened(tmp_path, SAMPLES[name]).frame.select(columns).collect().rows()


def unix(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_there_is_a_sample_of_every_format():
    assert SAMPLES.keys() == {reader.name for reader in READERS}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_format_is_recognised_by_its_own_reader_only(reader):
    assert {name for name, text in SAMPLES.items() if reader.recognises(text.encode())} == {reader.name}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_format_is_found_by_content(tmp_path, name):
    trace = opened(tmp_path, SAMPLES[name])
    assert (trace.source, trace.frame.collect().schema) == (name, SCHEMA)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_packed_trace_is_the_same(tmp_path, name, pack):
    plain = opened(tmp_path, SAMPLES[name]).frame.collect()
    assert opened(tmp_path, pack(SAMPLES[name].encode())).frame.collect().equals(plain)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path, name):
    plain = opened(tmp_path, SAMPLES[name]).frame.collect()
    windows = b"\xef\xbb\xbf" + SAMPLES[name].replace("\n", "\r\n").encode()
    assert opened(tmp_path, windows).frame.collect().equals(plain)


def test_several_packed_parts_are_one_trace(tmp_path):
    parts = [zstandard.compress(line.encode() + b"\n") for line in SAMPLES["diffserve"].splitlines()]
    assert len(opened(tmp_path, b"".join(parts)).frame.collect()) == 3


def test_katz_has_nulls_at_every_place(tmp_path):
    columns = ("arrival_s", "service", "instance", "base_model", names_of("controlnets"), names_of("loras"))
    assert rows(tmp_path, "katz", *columns) == [
        (3.0, "A", "n1", "m", ["c"], None),
        (3.0, "B", "n2", None, [], ["l", None]),
    ]


def test_katz_ids_may_be_numbers(tmp_path):
    trace = opened(tmp_path, '[{"timestamp": 1, "ip": 7, "scene_id": "A", "loras": [5, "x", null]}]')
    assert trace.frame.select("instance", names_of("loras")).collect().rows() == [("7", ["5", "x", None])]


def test_gentd26_counts_loras_without_names(tmp_path):
    assert rows(tmp_path, "gentd26", "steps", "images", names_of("loras"), "duration_s") == [
        (30, 1, [], 32.0),
        (40, None, [None, None], 43.0),
        (None, 8, [None], 0.0),
    ]


def test_gentd26_tells_how_requests_ended_if_they_did(tmp_path):
    assert rows(tmp_path, "gentd26", "task", "status", "reason") == [
        ("text-to-image", "finished", None),
        ("inpainting", "failed", "failed"),
        ("image-to-image", None, "pending"),
    ]


def test_gentd26_has_dates(tmp_path):
    assert rows(tmp_path, "gentd26", "arrival_s")[0] == (unix("2024-11-15 16:57:50"),)


def test_what_has_no_place_in_the_table_is_told(tmp_path):
    assert "Lengths of prompts were left out" in opened(tmp_path, SAMPLES["gentd26"]).notes[0]
    assert "left out: strength" in opened(tmp_path, "Request(prompt='a', strength=0.3)\n").notes[0]


def test_diffserve_has_milliseconds(tmp_path):
    assert rows(tmp_path, "diffserve", "arrival_s", "prompt_id")[0] == (0.036, "3132")


def test_omni_lines_are_literals(tmp_path):
    columns = ("request_id", "prompt", "arrival_s", "width", "height", "steps", "frames", "seed", "deadline_s")
    assert sorted(rows(tmp_path, "omni", *columns)) == [
        ("req-0001", "it's a cat", None, 1536, 1024, 70, None, None, None),
        ("req-0002", "two, cats", 1.5, None, None, None, 16, 7, 2.5),
    ]


def test_omni_ids_may_be_numbers_as_in_the_published_traces(tmp_path):
    lines = "Request(request_id=0, timestamp=0.0, prompt='a')\nRequest(request_id=1, timestamp=0.5, prompt='a')\n"
    assert opened(tmp_path, lines).frame.collect()["request_id"].to_list() == ["0", "1"]


def test_omni_ids_that_come_again_are_left_out(tmp_path):
    trace = opened(tmp_path, "Request(request_id='a')\nRequest(request_id='a')\nRequest(request_id=1)\n")
    assert trace.frame.collect()["request_id"].to_list() == ["a", None, "1"]
    assert any("without it" in note for note in trace.notes)


@pytest.mark.parametrize("line", ['{"width": 99999999999999999999}', '{"seed": 1e40}', '{"steps": 3000000000}'])
def test_numbers_that_no_column_has_room_for_are_refused(tmp_path, line):
    with pytest.raises(BadTrace, match="line 1"):
        opened(tmp_path, f"{line}\n")


@pytest.mark.parametrize(
    ("said", "inputs"),
    [
        ("image_path='a.png'", ["a.png"]),
        ("image_path='a.png', image_paths=['b.png', 'c.png'], fps=24", ["b.png", "c.png"]),
        ("video_path='v.mp4'", ["v.mp4"]),
        ("image_path='a.png', video_paths=['v.mp4']", ["a.png", "v.mp4"]),
        ("image_path='', image_paths=None", None),
        ("image_paths=[]", []),
    ],
)
def test_omni_lines_tell_what_a_request_starts_from(tmp_path, said, inputs):
    assert opened(tmp_path, f"Request(prompt='a', {said})\n").frame.collect()["inputs"].to_list() == [inputs]


@pytest.mark.parametrize(
    "line",
    [
        "Request(prompt=__import__('os').getcwd())",
        "Request(prompt=open('trace').read())",
        "Request('a cat')",
        "Request(**{'prompt': 'a'}, width=f())",
        "other(prompt='a')",
        "Request(prompt='a'",
        "Request(prompt=" + "(" * 5000 + ")",
        "Request(width='wide')",
        "Request(width=99999999999999999999)",
        "Request(image_paths='a.png')",
    ],
)
def test_omni_lines_that_are_more_than_literals_are_refused(tmp_path, line):
    with pytest.raises(BadTrace, match="line 2"):
        opened(tmp_path, f"Request(prompt='a')\n{line}\n")


def test_azure_functions_of_2019_are_spread_over_their_minutes(tmp_path):
    assert rows(tmp_path, "azure-functions-2019", "arrival_s", "base_model", "service", "tenant") == [
        (10.0, "f1", "a1", "o1"),
        (30.0, "f2", "a2", "o2"),
        (50.0, "f1", "a1", "o1"),
        (90.0, "f1", "a1", "o1"),
    ]


def test_azure_functions_of_2021_arrive_before_they_end(tmp_path):
    assert rows(tmp_path, "azure-functions-2021", "arrival_s", "duration_s", "base_model") == [
        (0.25, 5.25, "f1"),
        (1.25, 0.5, "f2"),
    ]


def test_azure_llm_has_dates(tmp_path):
    expected = [(unix("2023-11-16 18:15:46.680590"),), (unix("2024-05-10 00:00:00.009930"),)]
    assert rows(tmp_path, "azure-llm", "arrival_s") == [pytest.approx(row, abs=1e-6) for row in expected]


def test_requests_of_one_moment_keep_their_order(tmp_path):
    trace = opened(tmp_path, "2000,1\n1000,2\n1000,3\n1000,1\n")
    assert trace.frame.collect()["prompt_id"].to_list() == ["2", "3", "1", "1"]


def test_the_published_gentd26_is_read_as_a_plain_parser_does(published):
    path = published("gentd26/requests.csv")
    with path.open(newline="") as file:
        literal = list(csv.DictReader(file))
    table = open_trace(path).frame.collect()
    assert table["duration_s"].to_list() == [float(row["exec_time_seconds"]) for row in literal]
    assert table["base_model"].to_list() == [row["checkpoint_model_version_id"] or None for row in literal]
    assert table["loras"].list.len().to_list() == [int(row["num_lora"]) for row in literal]
    assert table["arrival_s"].to_list() == [unix(row["gmt_create"]) for row in literal]


def test_the_published_diffserve_trace_is_put_in_order(published):
    path = published("diffserve/trace_2to16qps.txt")
    literal = [line.split(",") for line in path.read_text().split()]
    trace = open_trace(path)
    expected = sorted(((float(ms) / 1000, prompt) for ms, prompt in literal), key=lambda row: row[0])
    assert trace.frame.select("arrival_s", "prompt_id").collect().rows() == expected
    assert "117 stood below" in trace.notes[0]


def test_accuscale_has_times_and_prompts(tmp_path):
    assert rows(tmp_path, "accuscale", "arrival_s", "prompt") == [(0.5, "a cat"), (2.25, "a dog")]


def test_accuscale_counts_are_spread_over_their_intervals(tmp_path):
    trace = opened(tmp_path, "Minute,QPM,kind\n0,3,x\n1,0,x\n2,5,x\n")
    arrivals_s = trace.frame.collect()["arrival_s"].to_list()
    assert [sum(start <= each < start + 60 for each in arrivals_s) for start in (0, 60, 120)] == [3, 0, 5]
    assert any("kind" in note for note in trace.notes)


def test_accuscale_rates_count_by_the_length_of_their_intervals(tmp_path):
    trace = opened(tmp_path, "time,qpm\n0,60\n30,120\n")
    arrivals_s = trace.frame.collect()["arrival_s"].to_list()
    assert [sum(start <= each < start + 30 for each in arrivals_s) for start in (0, 30)] == [30, 60]


def test_accuscale_gaps_add_up(tmp_path):
    assert opened(tmp_path, "gap,prompt\n1,a\n2,b\n").frame.collect()["arrival_s"].to_list() == [1.0, 3.0]


def test_a_table_without_times_or_counts_is_refused_with_its_columns(tmp_path):
    with pytest.raises(BadTrace, match="colour,shape"):
        opened(tmp_path, "colour,shape\nred,circle\n")
