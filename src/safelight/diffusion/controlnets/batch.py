"""ControlNets over the rows of a batch: one call of each, for all rows that use it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import zip_longest
from operator import add

import torch
from torch import Tensor

from safelight.core.adapter import AdapterHandle
from safelight.core.errors import AdapterLost, ControlNetServiceLost
from safelight.diffusion.controlnets.architecture import ControlNetInputs
from safelight.diffusion.controlnets.architectures import controlnet_architecture
from safelight.diffusion.controlnets.controlnet import ControlNet
from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.families.parts import Conditioning
from safelight.diffusion.families.residuals import Residuals


@dataclass(frozen=True, kw_only=True)
class RowControlNet:
    """One use of a ControlNet by a row; `hint` is the control picture as the family's ControlNets read it."""

    handle: AdapterHandle
    scale: float
    hint: Tensor


def controlnet_residuals(
    nets: Mapping[AdapterHandle, ControlNet],
    base: ControlNetBase,
    *,
    latents: Tensor,
    times: Tensor,
    conditionings: Sequence[Conditioning],
    guidance: Tensor,
    uses: Sequence[Sequence[RowControlNet]],
) -> Residuals | None:
    """Return what ControlNets add within the denoiser call that has the same arguments; None if no row uses any.

    Each ControlNet is called once, for all of the rows in whose `uses` it is. What several of them add to a row is
    summed, as in diffusers; ControlNets of different depth are each spread over the denoiser's layers first. All are
    asked before any answer is waited for, so that those in other processes compute meanwhile.

    Raises:
        AdapterLost: if one is in another process that does not answer.
    """

    def ask(handle: AdapterHandle) -> Callable[[], Residuals]:
        mine = [(row, control) for row, controls in enumerate(uses) for control in controls if control.handle == handle]
        rows = [row for row, _ in mine]
        pooled = [one for row in rows if (one := conditionings[row].pooled) is not None]
        inputs = ControlNetInputs(
            latents=latents[rows],
            times=times[rows],
            contexts=torch.stack([conditionings[row].context for row in rows]),
            pooled=torch.stack(pooled) if pooled else None,
            guidance=guidance[rows],
            hints=torch.stack([control.hint for _, control in mine]).to(latents),
            scales=latents.new_tensor([control.scale for _, control in mine]),
        )
        with _naming(handle):
            wait = nets[handle].start(inputs)

        def answer() -> Residuals:
            with _naming(handle):
                return wait().scattered(rows, len(latents))

        return answer

    by_depth: dict[tuple[int, int], Residuals] = {}
    for answer in [ask(handle) for handle in _in_order(uses)]:
        added = answer()
        by_depth[added.depth] = by_depth[added.depth] + added if added.depth in by_depth else added
    if len(by_depth) > 1:
        assert base.architecture is not None
        spread = controlnet_architecture(base.architecture).spread
        return reduce(add, (spread(added, base) for added in by_depth.values()))
    return next(iter(by_depth.values()), None)


@contextmanager
def _naming(handle: AdapterHandle) -> Iterator[None]:
    try:
        yield
    except ControlNetServiceLost as error:
        raise AdapterLost(handle, str(error)) from error


def _in_order(uses: Sequence[Sequence[RowControlNet]]) -> list[AdapterHandle]:
    """Return each handle once, those that rows name first before those that they name second."""
    by_place = zip_longest(*uses)
    return list(dict.fromkeys(control.handle for place in by_place for control in place if control is not None))
