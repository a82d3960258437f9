"""The ControlNet service as a process, which the server keeps running like a worker."""

from pathlib import Path
from queue import SimpleQueue

import torch

from safelight.core.frames import frame
from safelight.core.work import Ready, WorkerCommand
from safelight.diffusion.placement import Placement
from safelight.worker.controlnet_service.service import ControlNets, ControlNetService, listen
from safelight.worker.event_pipe import EventPipe

Commands = SimpleQueue[WorkerCommand | None]
"""What the server sends; None marks the end."""


def run_controlnet_service(
    address: Path, *, placement: Placement, threads: int, events: EventPipe, commands: Commands
) -> None:
    """Serve ControlNets at a Unix socket until the commands end; raises OSError."""
    torch.set_num_threads(threads)
    service = ControlNetService(listen(address), ControlNets(placement))
    events.write(frame(Ready(models=(), max_denoiser_rows=0)))
    while commands.get() is not None:
        pass
    service.close()
