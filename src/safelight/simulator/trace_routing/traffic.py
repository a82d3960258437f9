"""The requests of a trace as a router sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from safelight.control.routing.protocol import RoutedRequest, routing_key
from safelight.traces.schema import AdapterColumn, names_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Requests in order of arrival.

    Attributes:
        arrivals_s: seconds; never less than the one before.
        work_s: how long each keeps an instance busy.
        keys: by which requests are routed; see `RoutedRequest`.
        has_adapter: whether each names an adapter; all do if not given.
    """

    arrivals_s: Floats
    work_s: Floats
    keys: Integers
    has_adapter: Sequence[bool] | None = None

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.arrivals_s)

    @cached_property
    def routed(self) -> Sequence[RoutedRequest]:
        """The requests as routing policies see them."""
        named = self.has_adapter or [True] * len(self)
        return [
            RoutedRequest(sequence=place, key=key, has_adapter=has_adapter)
            for place, (key, has_adapter) in enumerate(zip(self.keys.tolist(), named, strict=True))
        ]


def traffic_of(frame: pl.LazyFrame, *, work_s: float) -> Traffic:
    """Return the requests of a trace.

    The adapter that a request is routed by is its first LoRA with a name, or where it has none its first ControlNet, or
    else nothing but its own place in the trace.

    Args:
        frame: in order of arrival; requests that do not tell when they arrived came along with the one before.
        work_s: for requests that tell neither seconds of work nor a duration.
    """
    table = frame.select(
        pl.col("arrival_s").forward_fill().fill_null(0.0),
        pl.coalesce("compute_s", "duration_s", pl.lit(work_s)).alias("work_s"),
        pl.coalesce(_first("loras"), _first("controlnets")).alias("named"),
        pl.int_range(pl.len()).cast(pl.String).alias("place"),
    ).collect()
    table = table.with_columns(pl.coalesce("named", "place").alias("adapter"))
    names = table["adapter"].unique()
    numbers = pl.Series([routing_key(name) for name in names], dtype=pl.Int64)
    keys = table["adapter"].replace_strict(names, numbers, return_dtype=pl.Int64)
    return Traffic(
        arrivals_s=table["arrival_s"].to_numpy(),
        work_s=table["work_s"].to_numpy(),
        keys=keys.to_numpy(),
        has_adapter=table["named"].is_not_null().to_list(),
    )


def _first(column: AdapterColumn) -> pl.Expr:
    return names_of(column).list.drop_nulls().list.first()
