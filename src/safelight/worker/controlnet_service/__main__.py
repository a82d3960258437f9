"""`python -m safelight.worker.controlnet_service --socket FILE`: a process that the server starts once."""

import argparse
import os
import signal
import sys
from pathlib import Path
from queue import SimpleQueue

from safelight.core.errors import PlacementError
from safelight.core.work import WorkerCommand
from safelight.worker.determinism import prepare_environment
from safelight.worker.event_pipe import EventPipe
from safelight.worker.lifeline import die_with_parent
from safelight.worker.process import claim_output, read_commands, start_heartbeat

AUTO = "auto"


def main() -> int:
    """Serve ControlNets until `Stop`; returns the exit status."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="python -m safelight.worker.controlnet_service", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="a file in a folder that only this user can open")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default=AUTO)
    parser.add_argument("--dtype", default=AUTO)
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--deterministic", action="store_true")
    arguments = parser.parse_args()
    # Only the server handles Ctrl-C; it ends its processes by closing their standard input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Standard error goes to the server's log, so progress bars of libraries are disabled.
    os.environ.setdefault("TQDM_DISABLE", "1")

    if arguments.deterministic:
        prepare_environment()

    events = EventPipe(claim_output())
    heartbeat = start_heartbeat(events)
    inbox: SimpleQueue[WorkerCommand | None] = SimpleQueue()
    read_commands(inbox.put)

    from safelight.diffusion.placement import find_placement, use_deterministic_kernels
    from safelight.worker.controlnet_service.process import run_controlnet_service

    try:
        placement = find_placement(arguments.device, arguments.dtype, number=arguments.number)
        if arguments.deterministic:
            use_deterministic_kernels(placement)
        heartbeat.watch(lambda: None)  # it ends by itself when a call hangs
        run_controlnet_service(
            arguments.socket, placement=placement, threads=arguments.threads, events=events, commands=inbox
        )
    except PlacementError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: The ControlNet service cannot listen at {str(arguments.socket)!r}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
