"""How the ControlNets of one diffusers class are served, for one family or several."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.families.residuals import Residuals


@dataclass(frozen=True, kw_only=True)
class ControlNetInputs:
    """What one call of a ControlNet reads, as plain tensors, one row for each denoiser row that uses it.

    Attributes:
        latents: (rows, channels, height, width), as the denoiser gets them.
        times: (rows,).
        contexts: (rows, tokens, width).
        pooled: (rows, width), for families that want it.
        guidance: (rows,), for networks that read it themselves.
        hints: (rows, channels, height, width), the control pictures as pixels or latents.
        scales: (rows,), the conditioning scales.
    """

    latents: Tensor
    times: Tensor
    contexts: Tensor
    pooled: Tensor | None
    guidance: Tensor
    hints: Tensor
    scales: Tensor


class ControlNetArchitecture(Protocol):
    """How ControlNets of one diffusers class are served; `network` is that class, untyped."""

    network: Any

    def refusals(self, config: Mapping[str, Any], base: ControlNetBase) -> Iterator[str]:
        """Yield reasons why a ControlNet with this config cannot be used with `base`."""
        ...

    def widths(self, config: Mapping[str, Any]) -> Mapping[str, object]:
        """Return what a ControlNet and its denoiser must have alike, from either one's config."""
        ...

    def prepare(self, network: Any, base: ControlNetBase) -> None:  # noqa: ANN401 - diffusers' network, untyped
        """Change a loaded network as the denoiser of `base` is changed."""
        ...

    def call(self, network: Any, base: ControlNetBase, inputs: ControlNetInputs) -> Residuals:  # noqa: ANN401 - likewise
        """Return the network's residuals, one tensor per layer."""
        ...

    def spread(self, residuals: Residuals, base: ControlNetBase) -> Residuals:
        """Return residuals for every layer of the denoiser, each as often as diffusers would add it."""
        ...


def transformer_width(config: Mapping[str, Any]) -> int:
    """Return the width of a transformer's tokens."""
    return int(config["num_attention_heads"] * config["attention_head_dim"])
