"""What the command line itself refuses, and how every error is told.

SafelightError
├── Misuse            a command line that asks for something that cannot be
├── MissingExtra      a package that the base install leaves out
└── NotTaken          an adapter is kept here, but the server that runs does not take it
"""

from pathlib import Path

from typer.exceptions import TyperException

from safelight.core.errors import RequestError, SafelightError
from safelight.oneshot.server import Refused

FAILURE = 1
MISUSE = 2
INTERRUPTED = 130


class Misuse(SafelightError):
    """The command line asks for something that cannot be."""


class MissingExtra(SafelightError):
    """A command needs packages that the base install leaves out."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f"This command needs {package}, which comes with the extra [{extra}]: pip install 'safelight[{extra}]'."
        )


class NotTaken(SafelightError):
    """An adapter lies in the user's folder, but the server that runs does not take it."""

    def __init__(self, path: Path, *, url: str, reason: str) -> None:
        super().__init__(f"The adapter is in {str(path)!r} now, but the server at {url} does not take it: {reason}")


def words_of(error: Exception) -> str:
    """Return what to tell the user."""
    match error:
        case TyperException():
            return error.format_message()
        case OSError(filename=str(name), strerror=str(reason)):
            return f"{name}: {reason}"
    return str(error)


def status_of(error: Exception) -> int:
    """Return the exit status that tells misuse from failure."""
    match error:
        case TyperException():
            return error.exit_code
        case Misuse() | RequestError() | Refused(is_misuse=True):
            return MISUSE
    return FAILURE
