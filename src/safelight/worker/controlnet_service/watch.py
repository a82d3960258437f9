"""Ends the process when a call hangs."""

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def watched(within_s: float) -> Iterator[None]:
    """End the process with status 1 and a traceback if the block takes longer; one block at a time."""
    faulthandler.dump_traceback_later(within_s, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
