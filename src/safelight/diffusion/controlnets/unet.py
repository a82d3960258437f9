"""ControlNets of the two families with a UNet."""

from collections.abc import Iterator, Mapping
from typing import Any

from diffusers import ControlNetModel

from safelight.diffusion.controlnets.architecture import ControlNetInputs
from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.families.residuals import Residuals
from safelight.diffusion.families.unet import size_conditioning

HINT_CHANNELS = 3


class UNetArchitecture:
    """ControlNets beside the UNets of Stable Diffusion and Stable Diffusion XL."""

    network = ControlNetModel

    def refusals(self, config: Mapping[str, Any], base: ControlNetBase) -> Iterator[str]:
        """Yield reasons why a ControlNet with this config cannot be used with `base`."""
        if config["global_pool_conditions"]:
            yield "it pools what it sees over the whole picture, which needs diffusers' guess mode"
        if config["conditioning_channels"] != HINT_CHANNELS:
            yield f"its control pictures have {config['conditioning_channels']} channels, not {HINT_CHANNELS}"
        pixels = 2 ** (len(config["conditioning_embedding_out_channels"]) - 1)
        if pixels != base.downscale:
            yield f"it reads {pixels} pixels for each position of the latents, the model has {base.downscale}"

    def widths(self, config: Mapping[str, Any]) -> Mapping[str, object]:
        """Return what a ControlNet and its denoiser must have alike, from either one's config."""
        names = (
            "in_channels",
            "cross_attention_dim",
            "block_out_channels",
            "layers_per_block",
            "class_embed_type",
            "addition_embed_type",
            "addition_time_embed_dim",
            "projection_class_embeddings_input_dim",
        )
        return {name: config[name] for name in names}

    def prepare(self, network: Any, base: ControlNetBase) -> None:  # noqa: ANN401 - diffusers' network, untyped
        """Leave the network as it is."""

    def call(self, network: Any, base: ControlNetBase, inputs: ControlNetInputs) -> Residuals:  # noqa: ANN401 - likewise
        """Return the network's residuals, one tensor per layer."""
        added = None
        if base.denoiser["addition_embed_type"] is not None:
            added = size_conditioning(inputs.latents, inputs.pooled, base.downscale)
        down, middle = network(
            inputs.latents,
            inputs.times,
            encoder_hidden_states=inputs.contexts,
            controlnet_cond=inputs.hints,
            conditioning_scale=inputs.scales.view(-1, 1, 1, 1),
            added_cond_kwargs=added,
            return_dict=False,
        )
        return Residuals(early=tuple(down), late=(middle,))

    def spread(self, residuals: Residuals, base: ControlNetBase) -> Residuals:
        """Return them unchanged: there is one for every block of the UNet."""
        return residuals
