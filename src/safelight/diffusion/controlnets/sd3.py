"""ControlNets of Stable Diffusion 3, which may have fewer layers than the model."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from diffusers import SD3ControlNetModel

from safelight.diffusion.controlnets.architecture import ControlNetInputs, transformer_width
from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.families.joint_attention import CountedJointAttention
from safelight.diffusion.families.residuals import Residuals


class SD3Architecture:
    """ControlNets beside the joint transformer of Stable Diffusion 3."""

    network = SD3ControlNetModel

    def refusals(self, config: Mapping[str, Any], base: ControlNetBase) -> Iterator[str]:
        """Yield reasons why a ControlNet with this config cannot be used with `base`."""
        if config["joint_attention_dim"] is None or not config["use_pos_embed"]:
            yield "it reads neither prompts nor latents itself, as those for Stable Diffusion 3.5 8B do"
        if config["extra_conditioning_channels"]:
            yield f"it wants {config['extra_conditioning_channels']} channels besides the control picture's latents"
        if config["num_layers"] > base.denoiser["num_layers"]:
            yield f"it has {config['num_layers']} layers, more than the model's {base.denoiser['num_layers']}"
        if config["pos_embed_max_size"] < base.denoiser["pos_embed_max_size"]:
            yield f"it knows no pictures of more than {config['pos_embed_max_size']} patches a side, as the model does"

    def widths(self, config: Mapping[str, Any]) -> Mapping[str, object]:
        """Return what a ControlNet and its denoiser must have alike, from either one's config."""
        names = ("in_channels", "patch_size", "joint_attention_dim", "pooled_projection_dim")
        return {name: config[name] for name in names} | {"width": transformer_width(config)}

    def prepare(self, network: Any, base: ControlNetBase) -> None:  # noqa: ANN401 - diffusers' network, untyped
        """Count the last token of a context as often as the denoiser does."""
        if base.context_count > 1:
            for block in network.transformer_blocks:
                block.attn.set_processor(CountedJointAttention(base.context_count))

    def call(self, network: Any, base: ControlNetBase, inputs: ControlNetInputs) -> Residuals:  # noqa: ANN401 - likewise
        """Return the network's residuals, one tensor per layer."""
        hints, pooled = inputs.hints, inputs.pooled
        assert pooled is not None
        if network.config.force_zeros_for_pooled_projection:
            # Those who train such networks leave out the latents' shift as well, and diffusers' pipeline goes by that.
            hints, pooled = hints + base.latent_shift, torch.zeros_like(pooled)
        (samples,) = network(
            hidden_states=inputs.latents,
            controlnet_cond=hints,
            conditioning_scale=inputs.scales.view(-1, 1, 1),
            encoder_hidden_states=inputs.contexts,
            pooled_projections=pooled,
            timestep=inputs.times,
            return_dict=False,
        )
        return Residuals(early=tuple(samples))

    def spread(self, residuals: Residuals, base: ControlNetBase) -> Residuals:
        """Return residuals for every layer of the denoiser, each as often as diffusers would add it."""
        layers = int(base.denoiser["num_layers"])
        interval = layers / len(residuals.early)
        return Residuals(early=tuple(residuals.early[int(layer / interval)] for layer in range(layers)))
