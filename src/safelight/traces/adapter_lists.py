"""Columns of adapters from Python lists, without a Python object for each adapter."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import polars as pl

from safelight.traces.schema import ADAPTER, ADAPTERS, adapters_named

Id = str | int | None

_END, _NULL = "\x1f", "\x00"


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
    if scales is None and (lists := _cut_lists(names)) is not None:
        return lists.to_frame("names").select(adapters_named(pl.col("names"))).to_series().cast(ADAPTERS)
    flat = ids(list(chain.from_iterable(filter(None, names)))).alias("name")
    strengths = pl.Series(
        "scale", [] if scales is None else list(chain.from_iterable(filter(None, scales))), pl.Float64
    )
    if scales is None:
        strengths = strengths.extend_constant(None, len(flat))
    lengths = [-1 if each is None else len(each) for each in names]
    return _split(pl.DataFrame([flat, strengths]).to_struct(), lengths)


def _cut_lists(names: Sequence[Sequence[Id] | None]) -> pl.Series | None:
    """Return lists of names, made by cutting one text for each list, which is three times as fast as all else.

    It gives None where a name has a character that is used for cutting.
    """
    texts = pl.Series([each if each is None else _text(each) for each in names], dtype=pl.String)
    parts = pl.DataFrame({"names": texts.str.split(_END)})
    lists = parts.select(pl.col("names").list.head(pl.col("names").list.len() - 1)).to_series()
    whole = sum(map(len, filter(None, names)))
    if lists.list.len().sum() != whole:
        return None
    if not texts.str.contains(_NULL, literal=True).any():
        return lists
    flat = lists.explode()
    if (flat == _NULL).sum() != sum(each.count(None) for each in names if each):
        return None
    return lists.list.eval(pl.when(pl.element() != _NULL).then(pl.element()))


def _text(names: Sequence[Id]) -> str:
    """Return names with an end after each, in place of a null and of a number something else."""
    try:
        return _END.join((*names, "")) if names else ""  # type: ignore[arg-type]
    except TypeError:
        return "".join(f"{_NULL if name is None else name}{_END}" for name in names)


def unnamed_lists(counts: pl.Series) -> pl.Series:
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
