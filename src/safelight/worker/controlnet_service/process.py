"""The ControlNet service as a process, which the server keeps running like a worker."""

from pathlib import Path

import torch

from safelight.core.frames import frame
from safelight.core.work import Ready
from safelight.diffusion.placement import Placement
from safelight.worker.controlnet_service.service import ControlNets, ControlNetService, listen
from safelight.worker.process import claim_output, commands


def run_controlnet_service(address: Path, *, placement: Placement, threads: int) -> None:
    """Serve ControlNets at a Unix socket until `Stop` or the end of standard input; raises OSError."""
    torch.set_num_threads(threads)
    events = claim_output()
    service = ControlNetService(listen(address), ControlNets(placement))
    events.write(frame(Ready(models=(), max_denoiser_rows=0)))
    for _ in commands():
        pass
    service.close()
