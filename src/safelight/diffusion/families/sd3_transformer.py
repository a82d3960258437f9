"""The joint transformer of Stable Diffusion 3."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from safelight.diffusion.families.joint_attention import CountedJointAttention
from safelight.diffusion.families.parts import Conditioning, ControlNetSupport
from safelight.diffusion.families.residuals import Residuals
from safelight.diffusion.families.sd3_packed import denoise_packed


class SD3Denoiser:
    """diffusers' SD3Transformer2DModel.

    The last token of a context stands for `context_count` equal ones; the network's attention is changed accordingly.
    """

    component = "transformer"

    def __init__(self, network: Any, *, context_count: int = 1) -> None:  # noqa: ANN401 - diffusers' network, untyped
        self.network = network
        self._context_count = context_count
        self.controlnets = ControlNetSupport(
            architecture="SD3ControlNetModel", reads="latents", context_count=context_count
        )
        if context_count > 1:
            for block in network.transformer_blocks:
                block.attn.set_processor(CountedJointAttention(context_count))

    @property
    def mixes_sizes(self) -> bool:
        """Whether `denoise_mixed` can be called: blocks with a second attention are not known to it."""
        return not any(block.use_dual_attention for block in self.network.transformer_blocks)

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        return int(self.network.config.in_channels)

    @property
    def patch(self) -> int:
        """Side of the square that makes one token."""
        return int(self.network.config.patch_size)

    @property
    def native_side(self) -> int:
        """Height and width of the latents that the model was trained at."""
        return int(self.network.config.sample_size)

    def denoise(
        self,
        latents: Tensor,
        times: Tensor,
        conditionings: Sequence[Conditioning],
        guidance: Tensor,
        residuals: Residuals | None = None,
    ) -> Tensor:
        """Return the velocity for latents at (rows,) times."""
        prediction: Tensor = self.network(
            latents,
            encoder_hidden_states=torch.stack([conditioning.context for conditioning in conditionings]),
            pooled_projections=torch.stack([one.pooled for one in conditionings if one.pooled is not None]),
            timestep=times,
            block_controlnet_hidden_states=None if residuals is None else residuals.early,
            return_dict=False,
        )[0]
        return prediction

    def denoise_mixed(
        self, groups: Sequence[Tensor], times: Tensor, conditionings: Sequence[Conditioning]
    ) -> list[Tensor]:
        """Return the velocity for the latents of each size; times and conditionings are in the order of the groups."""
        return denoise_packed(
            self.network,
            groups,
            times,
            torch.stack([conditioning.context for conditioning in conditionings]),
            torch.stack([one.pooled for one in conditionings if one.pooled is not None]),
            context_count=self._context_count,
        )
