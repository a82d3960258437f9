"""A trace as the uses that its requests make of adapters."""

from collections.abc import Mapping

import polars as pl

from safelight.traces.schema import AdapterColumn

KINDS: Mapping[AdapterColumn, str] = {"controlnets": "ControlNet", "loras": "LoRA"}
"""Columns with adapters, and what one of them is called."""


def uses_of(frame: pl.LazyFrame, column: AdapterColumn) -> pl.LazyFrame:
    """Return one row for each adapter of each request, in order of the requests.

    An adapter that a request lists twice counts once; those whose names are unknown are left out.

    Returns:
        `request`, its number from 0; `turn`, its number among the requests of its instance; its `arrival_s` and
        `instance`; and the adapter's `name`, as a category.
    """
    numbered = frame.select(
        pl.int_range(pl.len()).alias("request"),
        pl.int_range(pl.len()).over("instance").alias("turn"),
        "arrival_s",
        "instance",
        column,
    )
    name = pl.col(column).struct.field("name").cast(pl.Categorical)
    named = numbered.explode(column).with_columns(name).drop(column).drop_nulls("name")
    return named.unique(["request", "name"], maintain_order=True)
