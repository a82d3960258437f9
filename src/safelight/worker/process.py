"""The worker as a process: commands on standard input, events on standard output."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import BinaryIO

from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.machine import ReplicaMachine
from safelight.core.child import beat_s_in
from safelight.core.frames import decode_command, read_body
from safelight.core.work import Beat, Stop, WorkerCommand
from safelight.worker.engine import Engine
from safelight.worker.event_pipe import EventPipe
from safelight.worker.heartbeat import Activity, Heartbeat, Work
from safelight.worker.lifeline import ORPHANED, die_with_parent, exit_at_end_of
from safelight.worker.loop import Inbox, WorkerLoop
from safelight.worker.outbox import Outbox


def run_worker(make_engine: Callable[[], Engine], *, config: ReplicaConfig) -> None:
    """Serve commands from standard input until it ends.

    Signs of life are sent, and commands are read, from the start: `make_engine` should import what is heavy.
    """
    die_with_parent()
    inbox: Inbox = SimpleQueue()
    events = EventPipe(claim_output())
    heartbeat = start_heartbeat(events)
    read_commands(inbox.put)
    engine = make_engine()
    activity = Activity()
    outbox = Outbox(events.write)
    replica = ReplicaMachine.serving(engine.models, config=config)
    loop = WorkerLoop(engine, replica, inbox=inbox, send=outbox.send, flush=outbox.flush, activity=activity)
    heartbeat.watch(activity.progress)
    try:
        loop.run()
    except BrokenPipeError:
        return
    finally:
        heartbeat.stop()


def start_heartbeat(events: EventPipe) -> Heartbeat:
    """Start to send signs of life, if the pool asks for them.

    While models load, the process is busy without progress when it neither computes nor reads.
    """

    def send(beat: Beat) -> bool:
        try:
            return events.try_to_send(beat)
        except BrokenPipeError:
            os._exit(ORPHANED)

    beat_s = beat_s_in(os.environ)
    heartbeat = Heartbeat(send, beat_s=beat_s or 0.0, progress=Work().progress)
    if beat_s is not None:
        heartbeat.start()
    return heartbeat


def claim_output() -> BinaryIO:
    """Return standard output, now reserved for events; printed text goes to standard error."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


def claim_input() -> BinaryIO:
    """Return standard input, reserved for commands; a thread that still reads it does not disturb the end of Python."""
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb")


def commands(stream: BinaryIO | None = None) -> Iterator[WorkerCommand]:
    """Yield the commands on standard input, or on what was claimed of it, up to `Stop` or the end."""
    while (body := read_body(stream or sys.stdin.buffer)) is not None:
        command = decode_command(body)
        yield command
        if isinstance(command, Stop):
            return


def read_commands(take: Callable[[WorkerCommand | None], None]) -> None:
    """Pass the commands on standard input to `take` from a thread of its own, and None at the end.

    Soon after the end, the process ends too, even in the middle of a tick or a load.
    """
    stream = claim_input()

    def read() -> None:
        for command in commands(stream):
            take(command)
        take(None)
        exit_at_end_of(stream)

    threading.Thread(target=read, name="commands", daemon=True).start()
