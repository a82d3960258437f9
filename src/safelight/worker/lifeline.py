"""Ends a worker process together with the process that has started it.

This module imports nothing heavy, so that it can act before everything else.
"""

import ctypes
import os
import signal
import sys
import time
from typing import BinaryIO, Final

from safelight.core.child import parent_pid_in

PR_SET_PDEATHSIG: Final = 1

EXIT_WITHIN_S: Final = 1.0
"""How long the process may take to end by itself after its standard input has ended."""

ORPHANED: Final = 1
"""Exit status of a process that has outlived its parent."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, even while it is stopped; only Linux can do that.

    The signal comes when the parent's thread that has started this process ends. A pool starts its workers in the
    thread of its event loop, which stops them before it ends.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    parent_pid = parent_pid_in(os.environ)
    if parent_pid is not None and os.getppid() != parent_pid:
        os._exit(ORPHANED)  # it died before the signal was arranged


def exit_at_end_of(stream: BinaryIO) -> None:
    """Wait until a pipe from the parent ends, then end the process unless it has ended by itself soon after.

    A thread calls it: the main thread may be in a long tick, or load models, or never come back.
    """
    while os.read(stream.fileno(), 1 << 16):
        pass
    time.sleep(EXIT_WITHIN_S)
    os._exit(ORPHANED)
