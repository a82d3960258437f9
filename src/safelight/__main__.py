"""`python -m safelight` is `safelight`."""

import sys
from typing import Final

INTERRUPTED: Final = 130
"""Exit status after Ctrl-C; `safelight.cli.errors` has it too, but may not be imported yet."""


def main() -> int:
    """Run the command line, and return its exit status; Ctrl-C while it is imported ends it without a traceback."""
    try:
        from safelight.cli import main as command  # noqa: PLC0415 - so that an interruption of it is handled
    except KeyboardInterrupt:
        return INTERRUPTED
    return command()


if __name__ == "__main__":
    sys.exit(main())
