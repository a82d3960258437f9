"""What a format has a place for comes back as it was."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.reports.errors import CannotWrite
from safelight.traces.converting import convert
from safelight.traces.errors import BadTrace, UnknownFormat
from safelight.traces.reading import open_trace
from safelight.traces.schema import adapters_named, conform, empty, names_of
from safelight.traces.writing import FORMATS, WRITERS, format_of, write_trace
from traces.makers import MILLISECONDS, tables
from traces.samples import SAMPLES

PLACES = {writer.name: writer.columns for writer in WRITERS}


def written(table, name, folder, *, suffix=""):
    path = folder / f"trace{suffix}"
    notes = write_trace(table.lazy(), path, to_format=name, source="a test")
    return path, notes


def back(table, name, folder, **options):
    """Return a table as a format gives it back."""
    path, _ = written(table, name, folder, **options)
    return open_trace(path).frame.collect()


def only(table, name):
    """Return a recorded table with nothing that a format has no place for."""
    kept = table.select(PLACES[name]).with_columns(origin=pl.lit("recorded"))
    if name == "katz":
        kept = kept.with_columns(adapters_named(names_of(kind)).alias(kind) for kind in ("controlnets", "loras"))
    return conform(kept.lazy()).collect()


@given(table=tables(min_size=1))
def test_json_lines_keep_everything(table, tmp_path_factory):
    assert back(table, "jsonl", tmp_path_factory.mktemp("jsonl")).equals(table)


@given(table=tables(required=("arrival_s",)), suffix=st.sampled_from(["", ".gz", ".zst"]))
def test_katz_keeps_who_asked_where_and_for_what(table, suffix, tmp_path_factory):
    kept = only(table, "katz")
    assert back(kept, "katz", tmp_path_factory.mktemp("katz"), suffix=suffix).equals(kept)


ARRIVALS = {"arrival_s": MILLISECONDS, "prompt_id": st.integers(0, 9999).map(str)}


@given(table=tables(columns=tuple(ARRIVALS), required=tuple(ARRIVALS), fields=ARRIVALS, min_size=1))
def test_diffserve_keeps_arrivals_and_numbers_of_prompts(table, tmp_path_factory):
    kept = only(table, "diffserve")
    assert back(kept, "diffserve", tmp_path_factory.mktemp("diffserve")).equals(kept)


@given(table=tables(fields={"deadline_s": MILLISECONDS}, min_size=1))
def test_omni_keeps_what_a_picture_needs(table, tmp_path_factory):
    kept = only(table, "omni")
    assert back(kept, "omni", tmp_path_factory.mktemp("omni")).equals(kept)


def test_omni_has_pictures_and_videos_where_its_own_reader_looks_for_them(tmp_path):
    table = conform(pl.LazyFrame({"inputs": [["a.png"], ["v.mp4"], ["a.png", "v.mp4"], []]})).collect()
    path, _ = written(table, "omni", tmp_path)
    assert path.read_text().splitlines() == [
        "Request(image_paths=['a.png'])",
        "Request(video_paths=['v.mp4'])",
        "Request(image_paths=['a.png'], video_paths=['v.mp4'])",
        "Request(image_paths=[])",
    ]


@pytest.mark.parametrize("name", ["parquet", "katz"])
def test_a_trace_without_requests_is_one_too(name, tmp_path):
    assert back(empty(), name, tmp_path).equals(empty())


def test_what_a_format_has_no_place_for_is_told(tmp_path):
    table = conform(
        pl.LazyFrame({"arrival_s": [1.0], "steps": [9], "loras": [[{"name": "a", "scale": 0.5}]]})
    ).collect()
    _, notes = written(table, "katz", tmp_path)
    assert notes == ("The format katz has no place for steps, the scales of loras; that was left out.",)


@pytest.mark.parametrize(("name", "column"), [("katz", "arrival_s"), ("diffserve", "prompt_id")])
def test_what_a_format_cannot_do_without_is_told(tmp_path, name, column):
    table = conform(pl.LazyFrame({"arrival_s": [None if column == "arrival_s" else 1.0]})).collect()
    with pytest.raises(CannotWrite, match=f"the format {name} needs {column}"):
        written(table, name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_every_format_is_converted_to_every_other_or_it_is_told_why_not(sample, name, tmp_path):
    (tmp_path / "in").write_text(SAMPLES[sample])
    try:
        convert(tmp_path / "in", tmp_path / "out", to_format=name)
    except CannotWrite as error:
        assert "needs prompt_id" in str(error) or "needs arrival_s" in str(error)  # noqa: PT017 - both may be
    else:
        assert len(open_trace(tmp_path / "out").frame.collect()) == len(open_trace(tmp_path / "in").frame.collect())


def test_a_file_may_be_converted_onto_itself(tmp_path):
    path = tmp_path / "trace"
    path.write_text(SAMPLES["diffserve"])
    for name in ("parquet", "jsonl", "parquet", "diffserve"):
        convert(path, path, to_format=name)
    assert open_trace(path).frame.collect()["prompt_id"].to_list() == ["3132", "3971", "2468"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_is_told_in_every_format(name):
    table = conform(pl.LazyFrame({"arrival_s": [1.0] * 9999, "prompt_id": ["1"] * 9999})).collect()
    with pytest.raises(CannotWrite, match="'/dev/full': No space left on device"):
        write_trace(table.lazy(), Path("/dev/full"), to_format=name, source="a test")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a.parquet", "parquet"),
        ("a.json", "katz"),
        ("a.json.gz", "katz"),
        ("a.jsonl.zst", "jsonl"),
        ("a.b.pq", "parquet"),
    ],
)
def test_a_file_name_tells_the_format(file, name):
    assert format_of(Path(file)) == name


def test_a_file_name_that_tells_no_format_is_refused():
    with pytest.raises(UnknownFormat, match=r"end it in \.parquet.*--format"):
        format_of(Path("a.txt"))


def test_an_unknown_format_is_refused_with_the_nearest():
    with pytest.raises(UnknownFormat, match="'parket'; did you mean 'parquet'"):
        format_of(Path("a.txt"), "parket")


def test_a_text_too_long_to_be_held_is_converted_in_pieces(tmp_path):
    (tmp_path / "in").write_text("2000,1\n1000,2\n")
    convert(tmp_path / "in", tmp_path / "out", to_format="jsonl", most=1)
    assert [json.loads(line)["prompt_id"] for line in (tmp_path / "out").read_text().splitlines()] == ["1", "2"]
    assert open_trace(tmp_path / "out").frame.collect()["prompt_id"].to_list() == ["2", "1"]


def test_a_text_too_long_to_be_held_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "in").write_text("2000,1\n1000,2\n")
    with pytest.raises(BadTrace, match=r"safelight trace convert IN OUT\.parquet"):
        open_trace(tmp_path / "in", most=1)
