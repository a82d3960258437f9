"""Files that are no traces, or damaged ones."""

import gzip
import os

import polars as pl
import pytest
import zstandard

from safelight.traces.errors import BadTrace, NoSuchService
from safelight.traces.parquet import write_parquet
from safelight.traces.reading import open_trace
from traces.samples import SAMPLES


def opened(tmp_path, text, **options):
    path = tmp_path / "trace"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_trace(path, **options)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BadTrace, match=r"There is no file '.*none'"):
        open_trace(tmp_path / "none")


def test_a_folder_is_told(tmp_path):
    with pytest.raises(BadTrace, match="is a folder"):
        open_trace(tmp_path)


def test_an_empty_file_is_told(tmp_path):
    with pytest.raises(BadTrace, match="is empty"):
        opened(tmp_path, b"")


@pytest.mark.parametrize("text", [b"hello\n", b"\0" * 100, b"\x89PNG\r\n\x1a\n", b"a,b,c\n1,2,3\n", b"<html>"])
def test_what_is_no_trace_is_told_with_its_beginning_and_the_formats(tmp_path, text):
    with pytest.raises(BadTrace, match=r"in no format that is known: Parquet; the Katz .* It begins with b"):
        opened(tmp_path, text)


@pytest.mark.parametrize("start", [b"", b"[", b'{"arrival_s": 1, "prompt": "', b"1,2\n"])
def test_ten_gigabytes_without_an_end_of_line_are_not_read(tmp_path, start):
    path = tmp_path / "trace"
    path.write_bytes(start)
    os.truncate(path, 10 << 30)
    with pytest.raises(BadTrace, match=r"has more than 16 MiB|in no format|The JSON is broken"):
        open_trace(path)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_packed_file_that_is_cut_short_is_told(tmp_path, pack):
    packed = pack(("36.0,1\n" * 9999 + "37.5,2\n" * 9999).encode())
    with pytest.raises(BadTrace, match="the packing is damaged or cut short"):
        opened(tmp_path, packed[: len(packed) // 2])


@pytest.mark.parametrize("packed", [b"\x1f\x8b\x08\x00 nothing", b"\x28\xb5\x2f\xfd nothing"], ids=["gzip", "zstd"])
def test_a_packed_file_that_is_damaged_is_told(tmp_path, packed):
    with pytest.raises(BadTrace, match="the packing is damaged"):
        opened(tmp_path, packed)


BAD_LINES = {
    "diffserve": [("5,x", "prompt is 'x'"), ("-5,1", "arrival_s is -0.005"), ("5", "1 fields"), ("inf,1", "is inf")],
    "gentd26": [
        ("soon,TXT_2_IMG,SUCCEED,1,G,1,1,1,30,M,0", "gmt_create is 'soon', but it must be a date"),
        ("2024-11-15 16:57:50,TXT,SUCCEED,1,G,1,1,1,30,M,0", "predict_type is 'TXT'.*one of TXT_2_IMG"),
        ("2024-11-15 16:57:50,TXT_2_IMG,SUCCEED,-1,G,1,1,1,30,M,0", "duration_s is -1.0"),
        ("2024-11-15 16:57:50,TXT_2_IMG,SUCCEED,1,G,1,1,1,30.5,M,0", "'30.5', but it must be a whole number from 0 on"),
        ("2024-11-15 16:57:50,TXT_2_IMG,SUCCEED,1,G,1,1,1,30,M,-1", "num_lora is '-1', but it must be"),
        ('2024-11-15 16:57:50,"TXT_2_IMG,SUCCEED,1,G,1,1,1,30,M,0', "quotes are broken"),
    ],
    "azure-functions-2021": [("a,f,5,x", "duration is 'x'"), ("a,f,1,2", "arrival_s is -1.0"), ("a,f,1", "3 fields")],
    "azure-llm": [("yesterday,1,2", "TIMESTAMP is 'yesterday'"), ("2023-11-16 18:15:46", "1 fields")],
}


@pytest.mark.parametrize(
    ("name", "line", "words"), [(name, *bad) for name, lines in BAD_LINES.items() for bad in lines]
)
def test_a_bad_line_is_told_by_its_number_or_left_out_and_counted(tmp_path, name, line, words):
    text = SAMPLES[name] + line + "\n"
    with pytest.raises(BadTrace, match=f"line {text.count(chr(10))}: .*{words}"):
        opened(tmp_path, text)
    trace = opened(tmp_path, text, lenient=True)
    assert len(trace.frame.collect()) == len(opened(tmp_path, SAMPLES[name]).frame.collect())
    assert sum(trace.dropped.values()) == 1


@pytest.mark.parametrize("name", ["diffserve", "gentd26", "omni", "jsonl", "azure-llm"])
def test_a_line_that_is_not_utf_8_is_told_or_left_out_and_counted(tmp_path, name):
    *head, last = SAMPLES[name].encode().splitlines(keepends=True)
    text = b"".join([*head, last.replace(b"0", b"\xff").replace(b"2", b"\xff"), last])
    with pytest.raises(BadTrace, match=f"line {len(head) + 1}: It is not UTF-8"):
        opened(tmp_path, text)
    assert opened(tmp_path, text, lenient=True).dropped == {"not UTF-8": 1}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("predict_type", "predict_typ", "'predict_type' is missing; did you mean 'predict_typ'"),
        ("prompt_length", "promt_length", "'promt_length'; did you mean 'prompt_length'"),
    ],
)
def test_fields_that_do_not_fit_are_told_with_the_nearest(tmp_path, old, new, words):
    with pytest.raises(BadTrace, match=f"line 1: .*{words}"):
        opened(tmp_path, SAMPLES["gentd26"].replace(old, new, 1))


def test_the_lenient_go_without_fields_that_are_not_known(tmp_path):
    trace = opened(tmp_path, SAMPLES["gentd26"].replace("prompt_length", "promt_length", 1), lenient=True)
    assert "The field 'promt_length' is not known and was left out." in trace.notes


def test_an_id_that_comes_again_much_later_is_found(tmp_path):
    lines = [
        f'{{"arrival_s": {number}, "request_id": "r{number}", "prompt": "{"x" * 900}"}}\n' for number in range(6000)
    ]
    with pytest.raises(BadTrace, match="line 6001: request_id is 'r0', but it must be unique"):
        opened(tmp_path, "".join([*lines, lines[0]]))


def test_requests_without_ids_may_be_alike(tmp_path):
    assert len(opened(tmp_path, "5,1\n5,1\n").frame.collect()) == 2


def test_parquet_is_put_in_order_too_and_that_is_told(tmp_path):
    write_parquet(pl.LazyFrame({"arrival_s": [3.0, 1.0, None, 2.0]}), tmp_path / "a.parquet", source="a test")
    trace = open_trace(tmp_path / "a.parquet")
    assert trace.frame.collect()["arrival_s"].to_list() == [1.0, 2.0, 3.0, None]
    assert "1 stood below" in trace.notes[0]


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_parquet_with_arrivals_that_cannot_be_is_refused_or_they_are_counted(tmp_path, bad):
    write_parquet(pl.LazyFrame({"arrival_s": [0.0, bad, 1.0]}), tmp_path / "a.parquet", source="a test")
    with pytest.raises(BadTrace, match=f"row 2: arrival_s is {bad}, but it must be at least 0"):
        open_trace(tmp_path / "a.parquet")
    trace = open_trace(tmp_path / "a.parquet", lenient=True)
    assert (trace.frame.collect()["arrival_s"].to_list(), sum(trace.dropped.values())) == ([0.0, 1.0], 1)


def test_a_service_without_requests_is_refused_with_those_that_have_some(tmp_path):
    with pytest.raises(NoSuchService, match="service 'C'; there is 'A', 'B'"):
        opened(tmp_path, SAMPLES["katz"]).of_service("C")
