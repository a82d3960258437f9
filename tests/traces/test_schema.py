from pathlib import Path

import msgspec
import polars as pl
import pytest

from safelight.traces.errors import UnknownColumns, WrongColumnType
from safelight.traces.reading import READERS
from safelight.traces.row import TraceRow
from safelight.traces.schema import ADAPTERS, SCHEMA, conform, empty, names_of


def test_the_empty_table_has_every_column_and_no_row():
    assert (empty().schema, len(empty())) == (SCHEMA, 0)


def test_a_line_of_json_has_the_fields_of_the_table():
    assert [field.name for field in msgspec.structs.fields(TraceRow)] == list(SCHEMA)


def test_columns_that_a_frame_lacks_become_null():
    table = conform(pl.LazyFrame({"arrival_s": [1.5]})).collect()
    assert table.schema == SCHEMA
    assert table.drop("arrival_s").null_count().row(0) == (1,) * (len(SCHEMA) - 1)


@pytest.mark.parametrize(("columns", "count"), [({}, 0), ({"loras": []}, 0), ({"loras": [None, None]}, 2)])
def test_a_frame_keeps_its_number_of_requests(columns, count):
    assert len(conform(pl.LazyFrame(columns)).collect()) == count


def test_a_conforming_table_stays_as_it_is():
    table = conform(pl.LazyFrame({"arrival_s": [1], "loras": [["a", None]], "status": ["failed"]})).collect()
    assert conform(table.lazy()).collect().equals(table)


def test_lists_of_names_become_adapters_without_scales():
    table = conform(pl.LazyFrame({"loras": [["a", None], [], None]})).collect()
    assert table["loras"].to_list() == [[{"name": "a", "scale": None}, {"name": None, "scale": None}], [], None]


def test_null_adapters_become_adapters_without_a_name():
    frame = pl.LazyFrame({"loras": [[{"name": "a", "scale": 0.5}, None]]}, schema={"loras": ADAPTERS})
    assert conform(frame).collect()["loras"].to_list() == [[{"name": "a", "scale": 0.5}, {"name": None, "scale": None}]]


@pytest.mark.parametrize("inputs", [[["a.png", None], [None], None], [[], [None], None]])
def test_inputs_have_names(inputs):
    table = conform(pl.LazyFrame({"inputs": inputs})).collect()
    assert table["inputs"].to_list() == [each and [name for name in each if name] for each in inputs]


def test_names_keep_the_nulls_of_a_trace():
    frame = conform(pl.LazyFrame({"loras": [["a", None], [], None]}))
    assert frame.select(names_of("loras")).collect()["loras"].to_list() == [["a", None], [], None]


def test_unknown_columns_are_refused_with_the_nearest():
    with pytest.raises(UnknownColumns, match="'arival_s'; did you mean 'arrival_s'"):
        conform(pl.LazyFrame({"arival_s": [1.0], "arrival_s": [1.0]}))


@pytest.mark.parametrize(
    "column",
    [
        {"steps": [2.5]},
        {"arrival_s": ["1"]},
        {"service": [1]},
        {"loras": ["a"]},
        {"loras": [[1]]},
        {"status": [True]},
        {"inputs": [[1]]},
    ],
)
def test_columns_that_would_lose_something_are_refused(column):
    with pytest.raises(WrongColumnType, match=next(iter(column))):
        conform(pl.LazyFrame(column))


def test_an_integer_too_large_for_its_column_is_an_error():
    with pytest.raises(pl.exceptions.InvalidOperationError, match="width"):
        conform(pl.LazyFrame({"width": [2**40]})).collect()


def test_a_status_that_does_not_exist_is_an_error():
    with pytest.raises(pl.exceptions.InvalidOperationError, match="status"):
        conform(pl.LazyFrame({"status": ["gone"]})).collect()


def test_the_page_about_traces_tells_every_column_and_format():
    page = (Path(__file__).parents[2] / "docs" / "traces.md").read_text(encoding="utf-8")
    names = [*SCHEMA, "parquet", *(reader.name for reader in READERS)]
    assert [name for name in names if f"`{name}`" not in page] == []
