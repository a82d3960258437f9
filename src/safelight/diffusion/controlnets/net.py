"""One ControlNet, from its folder to its residuals."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from safelight.core.errors import AdapterFileError, ModelFolderError
from safelight.diffusion.controlnets.kind import ControlInputs, ControlKind
from safelight.diffusion.controlnets.kinds import control_kind
from safelight.diffusion.families.controlnet_base import ControlBase
from safelight.diffusion.families.parts import load_part
from safelight.diffusion.families.residuals import Residuals
from safelight.diffusion.folder import read_json
from safelight.diffusion.placement import Placement

CONFIG = "config.json"


class ControlNet:
    """One loaded ControlNet; computes, and remembers nothing between calls."""

    def __init__(self, network: Any, kind: ControlKind, base: ControlBase) -> None:  # noqa: ANN401 - diffusers' network, untyped
        self._network = network
        self._kind = kind
        self._base = base

    @classmethod
    def load(cls, folder: Path, base: ControlBase, *, placement: Placement) -> "ControlNet":
        """Load the ControlNet in a diffusers folder, to be used beside a model of which `base` tells.

        Raises:
            AdapterFileError: if the folder holds no whole ControlNet in safetensors, or not one that fits.
        """
        kind = control_kind(base.controlnet)
        try:
            network = _load_network(kind, folder, placement)
        except ModelFolderError as error:
            raise AdapterFileError(str(error)) from error
        if reason := next(_misfits(kind, network.config, base), None):
            raise AdapterFileError(f"The ControlNet {str(folder)!r} cannot be used with this model: {reason}.")
        kind.prepare(network, base)
        return cls(network, kind, base)

    @property
    def weights_bytes(self) -> int:
        """Bytes that its weights take in memory."""
        return sum(weight.numel() * weight.element_size() for weight in self._network.parameters())

    def start(self, inputs: ControlInputs) -> Callable[[], Residuals]:
        """Return what computes the residuals of `inputs`."""
        return partial(self, inputs)

    def __call__(self, inputs: ControlInputs) -> Residuals:
        """Return what it adds, for each row of `inputs`, in as many places as it has layers."""
        return self._kind.call(self._network, self._base, inputs)


def _load_network(kind: ControlKind, folder: Path, placement: Placement) -> Any:  # noqa: ANN401 - likewise
    named, wanted = read_json(folder / CONFIG).get("_class_name"), kind.network.__name__
    if named != wanted:
        raise AdapterFileError(
            f"{str(folder / CONFIG)!r} is of class {named!r}; ControlNets for this model are {wanted}."
        )
    with warnings.catch_warnings():
        # diffusers' class for FLUX calls another of its own by an old name.
        warnings.filterwarnings("ignore", "`FluxPosEmbed` is deprecated", FutureWarning)
        try:
            return load_part(kind.network, folder, placement=placement)
        except NotImplementedError as error:  # so torch refuses to move what no file filled
            raise AdapterFileError(
                f"{str(folder)!r} lacks tensors that its {CONFIG} asks for; fetch it again."
            ) from error


def _misfits(kind: ControlKind, config: Mapping[str, Any], base: ControlBase) -> Iterator[str]:
    yield from kind.refusals(config, base)
    wanted = kind.widths(base.denoiser)
    for name, has in kind.widths(config).items():
        if _plain(has) != _plain(wanted[name]):
            yield f"its {name} is {has}, the model's {wanted[name]}"


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else value
