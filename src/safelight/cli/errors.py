"""Errors of the command line itself, and the exit status of every error.

SafelightError
├── Misuse            invalid or contradictory arguments
├── MissingExtra      a package of an extra is not installed
└── NotTaken          an adapter is stored, but the running server refuses it
"""

from pathlib import Path

from typer.exceptions import TyperException

from safelight.api.errors import RequestRefused
from safelight.core.errors import RequestError, SafelightError

FAILURE = 1
MISUSE = 2
INTERRUPTED = 130


class Misuse(SafelightError):
    """Arguments are invalid or contradict each other."""


class MissingExtra(SafelightError):
    """A command needs a package of an extra that is not installed."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f"This command needs {package}, which comes with the extra [{extra}]: pip install 'safelight[{extra}]'."
        )


class NotTaken(SafelightError):
    """An adapter is in the user's folder, but the running server refuses it."""

    def __init__(self, path: Path, *, url: str, reason: str) -> None:
        super().__init__(f"The adapter is in {str(path)!r} now, but the server at {url} does not take it: {reason}")


def message_of(error: Exception) -> str:
    """Return the message for the user."""
    match error:
        case TyperException():
            return error.format_message()
        case OSError(filename=str(name), strerror=str(reason)):
            return f"{name}: {reason}"
    return str(error)


def status_of(error: Exception) -> int:
    """Return the exit status, which distinguishes misuse from failure."""
    match error:
        case TyperException():
            return error.exit_code
        case Misuse() | RequestError() | RequestRefused(is_misuse=True):
            return MISUSE
    return FAILURE
