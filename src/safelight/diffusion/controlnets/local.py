"""A ControlNet in this process, from its folder to its residuals."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from safelight.core.errors import AdapterFileError, ModelFolderError
from safelight.diffusion.controlnets.architecture import ControlNetArchitecture, ControlNetInputs
from safelight.diffusion.controlnets.architectures import controlnet_architecture
from safelight.diffusion.families.components import load_network
from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.families.residuals import Residuals
from safelight.diffusion.folder import read_json
from safelight.diffusion.placement import Placement

CONFIG = "config.json"


class LocalControlNet:
    """A ControlNet that computes in this process; it keeps no state between calls."""

    def __init__(self, network: Any, architecture: ControlNetArchitecture, base: ControlNetBase) -> None:  # noqa: ANN401 - diffusers' network, untyped
        self._network = network
        self._architecture = architecture
        self._base = base

    @classmethod
    def load(cls, folder: Path, base: ControlNetBase, *, placement: Placement) -> "LocalControlNet":
        """Load the ControlNet in a diffusers folder, for the model that `base` describes.

        Raises:
            AdapterFileError: if the folder holds no whole ControlNet in safetensors, or not one that fits.
        """
        if base.architecture is None:
            raise AdapterFileError(f"{str(folder)!r} is a ControlNet, and models of this family take none.")
        architecture = controlnet_architecture(base.architecture)
        try:
            network = _load_network(architecture, folder, placement)
        except ModelFolderError as error:
            raise AdapterFileError(str(error)) from error
        if reason := next(_misfits(architecture, network.config, base), None):
            raise AdapterFileError(f"The ControlNet {str(folder)!r} cannot be used with this model: {reason}.")
        architecture.prepare(network, base)
        return cls(network, architecture, base)

    @property
    def weights_bytes(self) -> int:
        """Bytes that its weights take in memory."""
        return sum(weight.numel() * weight.element_size() for weight in self._network.parameters())

    def start(self, inputs: ControlNetInputs) -> Callable[[], Residuals]:
        """Return what computes the residuals of `inputs`."""
        return partial(self, inputs)

    def __call__(self, inputs: ControlNetInputs) -> Residuals:
        """Return what it adds, for each row of `inputs`, one tensor per layer."""
        return self._architecture.call(self._network, self._base, inputs)


def _load_network(architecture: ControlNetArchitecture, folder: Path, placement: Placement) -> Any:  # noqa: ANN401 - likewise
    named, wanted = read_json(folder / CONFIG).get("_class_name"), architecture.network.__name__
    if named != wanted:
        raise AdapterFileError(
            f"{str(folder / CONFIG)!r} is of class {named!r}; ControlNets for this model are {wanted}."
        )
    with warnings.catch_warnings():
        # diffusers' class for FLUX calls another of its own by an old name.
        warnings.filterwarnings("ignore", "`FluxPosEmbed` is deprecated", FutureWarning)
        try:
            return load_network(architecture.network, folder, placement=placement)
        except NotImplementedError as error:  # so torch refuses to move what no file filled
            raise AdapterFileError(
                f"{str(folder)!r} lacks tensors that its {CONFIG} asks for; fetch it again."
            ) from error


def _misfits(architecture: ControlNetArchitecture, config: Mapping[str, Any], base: ControlNetBase) -> Iterator[str]:
    yield from architecture.refusals(config, base)
    wanted = architecture.widths(base.denoiser)
    for name, has in architecture.widths(config).items():
        if _plain(has) != _plain(wanted[name]):
            yield f"its {name} is {has}, the model's {wanted[name]}"


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else value
