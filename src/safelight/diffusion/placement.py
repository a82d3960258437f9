"""The device that a model computes on, and the precision."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch

from safelight.core.errors import PlacementError, nearest

DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
)
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A device, and the precision of what is computed there.

    Text encoders, denoisers, ControlNets and LoRAs are in `dtype`. Autoencoders, latents between two steps and the
    arithmetic of samplers are in single precision whatever it is.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32

    @property
    def in_single_precision(self) -> "Placement":
        return replace(self, dtype=torch.float32)

    def wait(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


ON_CPU = Placement(device=torch.device("cpu"))


def find_placement(device: str, dtype: str, *, number: int = 0) -> Placement:
    """Return the placement of worker `number`, counted from 0; workers take turns over several GPUs.

    `auto` is a GPU in bfloat16 if there is one, else the CPU in single precision.

    Raises:
        PlacementError: if there is no such device or precision.
    """
    if dtype != AUTO and dtype not in DTYPES:
        raise PlacementError(f"There is no precision {dtype!r}; {nearest(dtype, (AUTO, *DTYPES))}")
    found = _find_device(device, number)
    usual = torch.bfloat16 if found.type == "cuda" else torch.float32
    return Placement(device=found, dtype=DTYPES.get(dtype, usual))


def use_deterministic_kernels(placement: Placement) -> None:
    """Have this process use kernels that give the same bits for the same numbers and shapes.

    On CPUs they all do, for a given number of threads. On a GPU, torch raises RuntimeError where it has no such kernel.
    """
    if placement.device.type == "cuda":
        torch.use_deterministic_algorithms(mode=True)
        torch.backends.cudnn.benchmark = False


def _find_device(name: str, number: int) -> torch.device:
    gpus = torch.cuda.device_count()
    if name == AUTO:
        name = "cuda" if gpus else "cpu"
    if name == "cuda" and gpus:
        name = f"cuda:{number % gpus}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise PlacementError(f"There is no device {name!r} here ({reason}); use cpu, cuda or cuda:0.") from None
    return device
