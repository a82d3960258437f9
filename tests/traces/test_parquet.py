from pathlib import Path

import polars as pl
import pytest
from hypothesis import given

from safelight.reports.errors import CannotWrite
from safelight.traces.errors import BadTrace, UnknownColumns
from safelight.traces.parquet import write_parquet
from safelight.traces.reading import open_trace
from traces.makers import tables


@given(table=tables())
def test_a_trace_survives_parquet(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("parquet") / "trace"
    write_parquet(table.lazy(), path, source="a test")
    assert open_trace(path).frame.collect().equals(table)


def test_parquet_tells_its_source(tmp_path):
    write_parquet(pl.LazyFrame({"arrival_s": [1.0]}), tmp_path / "a.parquet", source="katz")
    assert open_trace(tmp_path / "a.parquet").source == "katz"


def test_parquet_of_other_makers_is_taken_if_it_conforms(tmp_path):
    pl.DataFrame({"arrival_s": [1, 2], "loras": [["a"], None]}).write_parquet(tmp_path / "a.parquet")
    trace = open_trace(tmp_path / "a.parquet")
    assert trace.source == "parquet"
    assert trace.frame.collect()["loras"].to_list() == [[{"name": "a", "scale": None}], None]


def test_parquet_with_unknown_columns_is_refused_with_the_nearest(tmp_path):
    pl.DataFrame({"arrival": [1.0]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(UnknownColumns, match="did you mean 'arrival_s'"):
        open_trace(tmp_path / "a.parquet")


def test_parquet_of_a_later_version_is_refused(tmp_path):
    note = {"safelight.trace": '{"version": 99, "source": "tomorrow"}'}
    pl.LazyFrame({"arrival_s": [1.0]}).sink_parquet(tmp_path / "a.parquet", metadata=note)
    with pytest.raises(BadTrace, match="version 99; this Safelight reads up to 1"):
        open_trace(tmp_path / "a.parquet")


def test_damaged_parquet_is_refused(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BadTrace, match=r"a\.parquet' cannot be read"):
        open_trace(tmp_path / "a.parquet")


def test_a_full_disk_is_told():
    with pytest.raises(CannotWrite, match="'/dev/full': No space left on device"):
        write_parquet(pl.LazyFrame({"arrival_s": [1.0]}), Path("/dev/full"), source="a test")


def test_what_cannot_be_written_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "a.parquet"
    write_parquet(pl.LazyFrame({"arrival_s": [1.0]}), path, source="first")
    with pytest.raises(CannotWrite):
        write_parquet(pl.LazyFrame({"status": ["gone"]}), path, source="second")
    assert (open_trace(path).source, list(tmp_path.iterdir())) == ("first", [path])


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CannotWrite, match="No such file or directory"):
        write_parquet(pl.LazyFrame({"arrival_s": [1.0]}), tmp_path / "none" / "a.parquet", source="a test")
