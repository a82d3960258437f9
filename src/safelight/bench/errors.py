"""Errors of a benchmark as a whole.

SafelightError
└── BenchError
    ├── BadLoad             the load cannot be sent as it was specified
    ├── ServerUnusable      no warm-up request succeeded
    ├── BadRequirement      a condition is malformed, or names an unknown metric
    └── BadResult           a file is not a result of a benchmark

A failed request is not an error of the benchmark: it is a `failures.Failure`, and the run continues.
"""

from safelight.core.errors import SafelightError


class BenchError(SafelightError):
    """Root of the benchmark's errors."""


class BadLoad(BenchError):
    """The load cannot be sent as it was specified."""


class ServerUnusable(BenchError):
    """No warm-up request succeeded."""


class BadRequirement(BenchError):
    """A condition is malformed, or names an unknown metric."""


class BadResult(BenchError):
    """A file is not a result of a benchmark."""
