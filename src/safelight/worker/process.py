"""The worker as a process: commands on standard input, events on standard output."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import BinaryIO

from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.machine import ReplicaMachine
from safelight.core.frames import decode_command, read_body
from safelight.core.work import Stop, WorkerCommand
from safelight.worker.engine import Engine
from safelight.worker.loop import Inbox, WorkerLoop
from safelight.worker.outbox import Outbox


def run_worker(make_engine: Callable[[], Engine], *, config: ReplicaConfig) -> None:
    """Serve commands from standard input until it ends."""
    outbox = Outbox(claim_output().write)
    inbox: Inbox = SimpleQueue()
    engine = make_engine()
    replica = ReplicaMachine.serving(engine.models, config=config)
    loop = WorkerLoop(engine, replica, inbox=inbox, send=outbox.send, flush=outbox.flush)
    threading.Thread(target=_read_commands, args=(inbox,), daemon=True).start()
    try:
        loop.run()
    except BrokenPipeError:
        return


def claim_output() -> BinaryIO:
    """Return standard output, now reserved for events; printed text goes to standard error."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


def commands() -> Iterator[WorkerCommand]:
    """Yield the commands on standard input, up to `Stop` or the end."""
    while (body := read_body(sys.stdin.buffer)) is not None:
        command = decode_command(body)
        yield command
        if isinstance(command, Stop):
            return


def _read_commands(inbox: Inbox) -> None:
    """Read up to the last command, since a thread that still reads would block the exit of the interpreter."""
    for command in commands():
        inbox.put(command)
    inbox.put(None)
