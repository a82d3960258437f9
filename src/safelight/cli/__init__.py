"""The `safelight` command: parses arguments, builds objects of other packages and runs them."""

from safelight.cli.main import main

__all__ = ["main"]
