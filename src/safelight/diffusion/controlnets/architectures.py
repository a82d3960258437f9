"""All architectures of ControlNets."""

from safelight.diffusion.controlnets.architecture import ControlNetArchitecture
from safelight.diffusion.controlnets.flux import FluxArchitecture
from safelight.diffusion.controlnets.sd3 import SD3Architecture
from safelight.diffusion.controlnets.unet import UNetArchitecture

CONTROLNET_ARCHITECTURES: tuple[ControlNetArchitecture, ...] = (
    UNetArchitecture(),
    SD3Architecture(),
    FluxArchitecture(),
)


def controlnet_architecture(name: str) -> ControlNetArchitecture:
    """Return the architecture of a diffusers class, by its name."""
    return next(each for each in CONTROLNET_ARCHITECTURES if each.network.__name__ == name)
