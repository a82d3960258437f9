"""Traces in which few adapters and instances meet often."""

import polars as pl
from hypothesis import strategies as st

from safelight.traces.schema import conform

LISTS = st.none() | st.lists(st.none() | st.sampled_from("abcde"), max_size=3)

ROWS = st.fixed_dictionaries(
    {
        "arrival_s": st.integers(0, 40).map(float),
        "instance": st.none() | st.sampled_from("xyz"),
        "controlnets": LISTS,
        "loras": LISTS,
        "duration_s": st.none() | st.integers(0, 20).map(float),
    }
)
SCHEMA = {
    "arrival_s": pl.Float64,
    "instance": pl.String,
    "controlnets": pl.List(pl.String),
    "loras": pl.List(pl.String),
    "duration_s": pl.Float64,
}


def trace_of(rows):
    """Return rows, given as dictionaries with plain names of adapters, as a canonical trace in order of arrival."""
    frame = pl.LazyFrame(rows, schema={name: SCHEMA[name] for name in (rows[0] if rows else SCHEMA)})
    return conform(frame.sort("arrival_s", maintain_order=True) if "arrival_s" in frame.collect_schema() else frame)


busy_rows = st.lists(ROWS, max_size=60).map(lambda rows: sorted(rows, key=lambda row: row["arrival_s"]))
"""Rows in order of arrival."""


def named(adapters):
    """Return the different names in a list of adapters, those that are known."""
    return {name for name in adapters or () if name is not None}
