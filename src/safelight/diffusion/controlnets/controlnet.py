"""The protocol of a loaded ControlNet, wherever it computes."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from safelight.diffusion.controlnets.architecture import ControlNetInputs
from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.families.residuals import Residuals


class ControlNet(Protocol):
    """A loaded ControlNet, in this process or in another."""

    @property
    def weights_bytes(self) -> int:
        """Bytes that its weights take, wherever they are."""
        ...

    def start(self, inputs: ControlNetInputs) -> Callable[[], Residuals]:
        """Start to compute the residuals of `inputs`; the returned function waits for them.

        Both raise ControlNetServiceLost if it is in another process that does not answer.
        """
        ...


LoadControlNet = Callable[[Path, ControlNetBase], ControlNet]
"""Loads the ControlNet in a diffusers folder for the model that the base describes; raises AdapterFileError."""
