"""The kinds of ControlNets there are."""

from safelight.diffusion.controlnets.flux import FluxControl
from safelight.diffusion.controlnets.joint import JointControl
from safelight.diffusion.controlnets.kind import ControlKind
from safelight.diffusion.controlnets.unet import UNetControl

CONTROL_KINDS: tuple[ControlKind, ...] = (UNetControl(), JointControl(), FluxControl())


def control_kind(name: str) -> ControlKind:
    """Return the kind of ControlNets that have a diffusers class."""
    return next(kind for kind in CONTROL_KINDS if kind.network.__name__ == name)
