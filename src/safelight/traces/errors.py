"""What is wrong with a trace.

SafelightError
└── TraceError
    ├── BadTrace            a file, or one of its rows, that cannot be read as what it seems to be
    ├── UnknownColumns      columns that the canonical table does not have
    ├── WrongColumnType     a column whose values would lose something in the canonical type
    ├── NoSuchService       a service that has no requests in the trace
    ├── BadArrivals         an arrival process that cannot be
    ├── CannotSynthesize    a trace that cannot be made as it is asked for
    └── UnknownFormat       a format that traces cannot be written in
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import polars as pl

from safelight.core.errors import SafelightError, nearest, shorten
from safelight.reports.errors import first_line


class TraceError(SafelightError):
    """Root of what can be wrong with traces."""


class BadTrace(TraceError):
    """A trace that cannot be read."""


class UnknownColumns(TraceError):
    """Columns that the canonical table does not have."""

    def __init__(self, unknown: Sequence[str], known: Sequence[str]) -> None:
        hints = " ".join(f"No column is named {shorten(name)}; {nearest(name, known)}" for name in unknown)
        super().__init__(hints)


class WrongColumnType(TraceError):
    """A column of a type that does not fit into the canonical one."""

    def __init__(self, name: str, found: pl.DataType, wanted: pl.DataType) -> None:
        super().__init__(f"The column {name!r} has the type {found}; it must have {wanted}. Convert it first.")


class NoSuchService(TraceError):
    """A service without a single request."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"No request is for the service {shorten(name)}; {nearest(name, known)}")


class BadArrivals(TraceError):
    """An arrival process that cannot be."""

    def __init__(self, what: str, value: object, rule: str) -> None:
        super().__init__(f"{what} is {shorten(value)}, but {rule}.")


class CannotSynthesize(TraceError):
    """A trace that cannot be made as it is asked for."""


class UnknownFormat(TraceError):
    """A format that traces cannot be written in."""


@contextmanager
def as_bad_trace(path: object) -> Iterator[None]:
    """Raise errors of polars as a BadTrace that names the file."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise BadTrace(f"{str(path)!r} cannot be read: {first_line(error)}") from error
