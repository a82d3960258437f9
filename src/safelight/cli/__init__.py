"""The `safelight` command: parses, builds and runs; the rooms do the work."""

from safelight.cli.main import main

__all__ = ["main"]
