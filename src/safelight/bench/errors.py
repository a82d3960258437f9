"""What keeps a benchmark from running.

SafelightError
└── BenchError
    ├── BadLoad             what is asked for cannot be sent
    ├── ServerUnusable      not one warm-up was served
    ├── BadRequirement      a condition that cannot be read, or that names no figure
    └── BadResult           a file that holds no result of a benchmark

A request that fails is no error: it is a `failures.Failure`, and the run goes on.
"""

from safelight.core.errors import SafelightError


class BenchError(SafelightError):
    """Root of what keeps a benchmark from running."""


class BadLoad(BenchError):
    """What is asked for cannot be sent."""


class ServerUnusable(BenchError):
    """Not one warm-up was served."""


class BadRequirement(BenchError):
    """A condition that cannot be read, or that names no figure."""


class BadResult(BenchError):
    """A file that holds no result of a benchmark."""
