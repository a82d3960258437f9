"""What a reader of a text format is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import polars as pl

from safelight.traces.read_log import ReadLog
from safelight.traces.source import Source

PLACE = "place"
"""A column beside the canonical ones while a trace is read: where in the file the request stands, counted from 1."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One text format.

    Attributes:
        name: short, as `Trace.source` has it.
        title: for people to read.
        unit: what a request is in the file, and what `PLACE` counts.
        recognises: tells the format by a text's beginning.
        read: gives blocks of requests in the canonical columns that the format has, and `PLACE`.
    """

    name: str
    title: str
    unit: Literal["line", "request"]
    recognises: Callable[[bytes], bool]
    read: Callable[[Source, ReadLog], Iterator[pl.DataFrame]]
