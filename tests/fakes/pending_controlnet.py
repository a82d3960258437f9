"""A ControlNet service whose calls return at once, as on a GPU, while what they are to compute never comes."""

import sys
import threading
from pathlib import Path
from types import SimpleNamespace

from safelight.diffusion.placement import ON_CPU
from safelight.worker.controlnet_service.service import ControlNetService, listen


class PendingNet:
    weights_bytes = 0

    def __call__(self, inputs):
        return SimpleNamespace(early=iter(sys.stdin), late=())


class PendingNets:
    placement = ON_CPU

    def get(self, folder, base):
        return PendingNet()


if __name__ == "__main__":
    service = ControlNetService(listen(Path(sys.argv[1])), PendingNets(), call_within_s=0.05)
    threading.Event().wait()
