"""A finished model that adapters are trained for."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, SD3ControlNetModel, SD3Transformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection, PreTrainedTokenizerFast

from safelight.diffusion.families.components import load_network, load_tokenizer
from safelight.diffusion.families.joint_attention import CountedJointAttention
from safelight.diffusion.families.stable_diffusion_3 import T5_TOKENS
from safelight.diffusion.families.text import encode_clips, tokenize
from safelight.diffusion.placement import ON_CPU
from safelight.diffusion.training.data import to_signal

ENCODED_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """A loaded model whose weights stay as they are."""

    name: str
    tokenizer: PreTrainedTokenizerFast
    text_encoders: list[CLIPTextModelWithProjection]
    denoiser: SD3Transformer2DModel
    autoencoder: AutoencoderKL

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The networks that a LoRA can change, by component."""
        encoders = zip(("text_encoder", "text_encoder_2"), self.text_encoders, strict=True)
        return {"transformer": self.denoiser, **dict(encoders)}

    def velocity(
        self,
        noisy: Tensor,
        times: Tensor,
        tokens: Tensor,
        *,
        controlnet: SD3ControlNetModel | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """Return velocities for (rows, channels, height, width) latents at (rows,) times in [0, 1]."""
        with torch.autocast("cpu", torch.bfloat16):
            contexts, pooled = encode_clips(self.text_encoders, [tokens, tokens])
            shared = {"encoder_hidden_states": F.pad(contexts, (0, 0, 0, 1)), "timestep": 1000 * times}
            residuals = None
            if controlnet is not None:
                residuals = controlnet(
                    noisy, controlnet_cond=condition, pooled_projections=torch.zeros_like(pooled), **shared
                ).controlnet_block_samples
            velocity = self.denoiser(
                noisy, pooled_projections=pooled, block_controlnet_hidden_states=residuals, **shared
            ).sample
        return velocity.float()

    @torch.no_grad()
    def guided_velocity(self, noisy: Tensor, times: Tensor, tokens: Tensor, *, scale: float) -> Tensor:
        """Return the velocities that classifier-free guidance of this scale leads to."""
        empty = tokenize(self.tokenizer, [""]).expand(len(tokens), -1)
        both = self.velocity(torch.cat([noisy] * 2), torch.cat([times] * 2), torch.cat([tokens, empty]))
        wanted, unwanted = both.chunk(2)
        return unwanted + scale * (wanted - unwanted)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Return the latents, (rows, channels, 8, 8), of (rows, 3, 64, 64) byte pictures."""
        parts = torch.split(pictures, ENCODED_AT_ONCE)
        means = torch.cat([self.autoencoder.encode(to_signal(part)).latent_dist.mean for part in parts])
        return means * self.autoencoder.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Return the signals, (rows, 3, 64, 64) in about [-1, 1], of (rows, channels, 8, 8) latents."""
        return self.autoencoder.decode(latents / self.autoencoder.config.scaling_factor).sample


def load_base(folder: Path) -> BaseModel:
    """Load a model folder for training beside it.

    Raises:
        ModelFolderError: if it is not a whole model.
    """
    denoiser = load_network(SD3Transformer2DModel, folder / "transformer", placement=ON_CPU)
    count_zeros(denoiser)
    return BaseModel(
        name=folder.resolve().name,
        tokenizer=load_tokenizer(folder / "tokenizer"),
        text_encoders=[
            load_network(CLIPTextModelWithProjection, folder / part, placement=ON_CPU)
            for part in ("text_encoder", "text_encoder_2")
        ],
        denoiser=denoiser,
        autoencoder=load_network(AutoencoderKL, folder / "vae", placement=ON_CPU),
    )


def count_zeros(net: SD3Transformer2DModel | SD3ControlNetModel) -> None:
    """Make one token of zeros count as all those that diffusers uses in place of a T5 encoder."""
    for block in net.transformer_blocks:
        block.attn.set_processor(CountedJointAttention(T5_TOKENS, in_single_precision=True))
