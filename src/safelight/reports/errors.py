"""What can go wrong when results are written.

SafelightError
└── CannotWrite     an output that cannot be written
"""

from safelight.core.errors import SafelightError


class CannotWrite(SafelightError):
    """An output that cannot be written."""

    def __init__(self, path: object, reason: object) -> None:
        super().__init__(f"Cannot write {str(path)!r}: {reason}")


def first_line(error: Exception) -> str:
    """Return the message of a polars error without the query that polars adds to it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
