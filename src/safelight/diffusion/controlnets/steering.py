"""A ControlNet as the engine meets it, wherever it computes."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from safelight.diffusion.controlnets.kind import ControlInputs
from safelight.diffusion.families.controlnet_base import ControlBase
from safelight.diffusion.families.residuals import Residuals


class SteeringNet(Protocol):
    """A loaded ControlNet, in this process or behind it in another."""

    @property
    def weights_bytes(self) -> int:
        """Bytes that its weights take, wherever they are."""
        ...

    def start(self, inputs: ControlInputs) -> Callable[[], Residuals]:
        """Ask what it adds for each row of `inputs`; what is returned waits for the answer and gives it.

        Both raise ControlServiceLost if it is in another process that does not answer.
        """
        ...


LoadControlNet = Callable[[Path, ControlBase], SteeringNet]
"""Loads the ControlNet in a diffusers folder, for a model of which the base tells; raises AdapterFileError."""
