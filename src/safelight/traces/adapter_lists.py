"""Columns of adapters from Python lists, without a Python object for each adapter."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import polars as pl

from safelight.traces.schema import ADAPTER, ADAPTERS

Id = str | int | None


def ids(values: Sequence[Id]) -> pl.Series:
    """Return ids as text; those that are numbers become their digits."""
    try:
        return pl.Series(values, dtype=pl.String)
    except TypeError:
        return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)


def adapter_lists(
    names: Sequence[Sequence[Id] | None], scales: Sequence[Sequence[float | None] | None] | None = None
) -> pl.Series:
    """Return lists of adapters, null where `names` is None; scales are null when there are none."""
    flat = ids(list(chain.from_iterable(filter(None, names)))).alias("name")
    strengths = pl.Series(
        "scale", [] if scales is None else list(chain.from_iterable(filter(None, scales))), pl.Float64
    )
    if scales is None:
        strengths = strengths.extend_constant(None, len(flat))
    lengths = [-1 if each is None else len(each) for each in names]
    return _split(pl.DataFrame([flat, strengths]).to_struct(), lengths)


def nameless_lists(counts: pl.Series) -> pl.Series:
    """Return lists of so many adapters of which nothing is known, null where the count is."""
    lengths = counts.fill_null(-1).to_list()
    nobody = pl.Series([{"name": None, "scale": None}], dtype=ADAPTER)
    return _split(nobody.new_from_index(0, sum(max(0, length) for length in lengths)), lengths)


def _split(adapters: pl.Series, lengths: Sequence[int]) -> pl.Series:
    """Cut a row of adapters into lists of these lengths; a negative one is null."""
    sizes = np.asarray(lengths, np.int64).clip(0)
    owner = pl.Series("owner", np.repeat(np.arange(len(sizes), dtype=np.uint32), sizes)).set_sorted()
    lists = pl.DataFrame([owner, adapters.alias("adapters")]).group_by("owner", maintain_order=True).agg("adapters")
    nothing = pl.Series([[]], dtype=ADAPTERS)
    pool = pl.concat([nothing, lists["adapters"].cast(ADAPTERS)])
    turn = np.where(sizes > 0, np.cumsum(sizes > 0), 0)
    places = pl.Series(turn, dtype=pl.UInt32).set(pl.Series(np.asarray(lengths) < 0, dtype=pl.Boolean), None)
    return pool.gather(places)
