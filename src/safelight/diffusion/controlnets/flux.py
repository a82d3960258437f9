"""ControlNets of FLUX.1, which may have fewer layers than the model, and single ones or none."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from diffusers import FluxControlNetModel
from torch import Tensor

from safelight.diffusion.controlnets.architecture import ControlNetInputs, transformer_width
from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.families.flux_transformer import flux_inputs, pack
from safelight.diffusion.families.residuals import Residuals


class FluxArchitecture:
    """ControlNets beside the transformer of FLUX.1."""

    network = FluxControlNetModel

    def refusals(self, config: Mapping[str, Any], base: ControlNetBase) -> Iterator[str]:
        """Yield reasons why a ControlNet with this config cannot be used with `base`."""
        if config["num_mode"] is not None:
            yield "it is a union of several ControlNets, which Safelight does not serve"
        if config["conditioning_embedding_channels"] is not None:
            yield "it encodes control pictures itself, which Safelight does not serve"
        for layers in ("num_layers", "num_single_layers"):
            if config[layers] > base.denoiser[layers]:
                yield f"its {layers} is {config[layers]}, more than the model's {base.denoiser[layers]}"

    def widths(self, config: Mapping[str, Any]) -> Mapping[str, object]:
        """Return what a ControlNet and its denoiser must have alike, from either one's config."""
        names = ("in_channels", "joint_attention_dim", "pooled_projection_dim")
        return {name: config[name] for name in names} | {"width": transformer_width(config)}

    def prepare(self, network: Any, base: ControlNetBase) -> None:  # noqa: ANN401 - diffusers' network, untyped
        """Leave the network as it is."""

    def call(self, network: Any, base: ControlNetBase, inputs: ControlNetInputs) -> Residuals:  # noqa: ANN401 - likewise
        """Return the network's residuals, one tensor per layer."""
        double, single = network(
            **flux_inputs(inputs.latents, inputs.times, inputs.contexts, inputs.pooled),
            controlnet_cond=pack(inputs.hints),
            conditioning_scale=inputs.scales.view(-1, 1, 1),
            guidance=inputs.guidance if network.config.guidance_embeds else None,
            return_dict=False,
        )
        return Residuals(early=tuple(double or ()), late=tuple(single or ()))

    def spread(self, residuals: Residuals, base: ControlNetBase) -> Residuals:
        """Return residuals for every layer of the denoiser, each as often as diffusers would add it."""
        return Residuals(
            early=_repeat(residuals.early, int(base.denoiser["num_layers"])),
            late=_repeat(residuals.late, int(base.denoiser["num_single_layers"])),
        )


def _repeat(tensors: tuple[Tensor, ...], layers: int) -> tuple[Tensor, ...]:
    if not tensors:
        return ()
    interval = math.ceil(layers / len(tensors))
    return tuple(tensors[layer // interval] for layer in range(layers))
