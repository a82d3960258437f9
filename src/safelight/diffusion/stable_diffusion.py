"""The Stable Diffusion family: one CLIP text encoder, a UNet and a KL autoencoder.

The embedded `shapes` models are of this family.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import AutoTokenizer, CLIPTextModel

from safelight.core.errors import ModelFolderError
from safelight.diffusion.family import Conditioning
from safelight.diffusion.folder import check_weights, explaining, read_index, read_json

ALLOWED = {
    "_class_name": frozenset({"StableDiffusionPipeline"}),
    "unet": frozenset({"UNet2DConditionModel"}),
    "vae": frozenset({"AutoencoderKL"}),
    "text_encoder": frozenset({"CLIPTextModel"}),
    "tokenizer": frozenset({"CLIPTokenizer", "CLIPTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"}),
}
PREDICTIONS = ("epsilon", "v_prediction", "sample")


class StableDiffusion:
    """One loaded Stable Diffusion model; computes, and remembers nothing between calls."""

    name = "stable-diffusion"

    def __init__(self, folder: Path, *, device: str) -> None:
        """Load from a diffusers folder.

        Raises:
            ModelFolderError: if the folder is not a whole Stable Diffusion model in safetensors.
        """
        read_index(folder, allowed=ALLOWED)
        self._device = torch.device(device)
        self._tokenizer = _load_tokenizer(folder / "tokenizer")
        self._text_encoder = self._load(CLIPTextModel, folder / "text_encoder")
        self._unet = self._load(UNet2DConditionModel, folder / "unet")
        self._vae = self._load(AutoencoderKL, folder / "vae")
        with explaining(folder / "scheduler"):
            scheduler = DDIMScheduler.from_config(read_json(folder / "scheduler" / "scheduler_config.json"))
        self.scheduler_config: Mapping[str, Any] = dict(scheduler.config)
        self._predicts = self.scheduler_config["prediction_type"]
        if self._predicts not in PREDICTIONS:
            raise ModelFolderError(f"{str(folder)!r} predicts {self._predicts!r}; known are {', '.join(PREDICTIONS)}.")

    def _load(self, kind: Any, folder: Path) -> Any:  # noqa: ANN401 - the libraries' classes are untyped
        check_weights(folder)
        with explaining(folder):
            part = kind.from_pretrained(folder, use_safetensors=True, local_files_only=True, dtype=torch.float32)
        return part.to(self._device).eval().requires_grad_(requires_grad=False)

    @property
    def _downscale(self) -> int:
        return int(2 ** (len(self._vae.config.block_out_channels) - 1))

    @property
    def native_size(self) -> tuple[int, int]:
        """Width and height, in pixels, that the model was trained at."""
        side = int(self._unet.config.sample_size) * self._downscale
        return side, side

    @property
    def size_multiple(self) -> int:
        """Latents must halve evenly at every level of the UNet."""
        return self._downscale * int(2 ** (len(self._unet.config.block_out_channels) - 1))

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Return (channels, height, width) of the latents of a picture of this size in pixels."""
        return int(self._unet.config.in_channels), height // self._downscale, width // self._downscale

    def encode(self, prompts: Sequence[str]) -> list[Conditioning]:
        """Encode prompts in one batch, cut or padded to the tokenizer's length as diffusers does."""
        tokens = self._tokenizer(list(prompts), padding="max_length", truncation=True, return_tensors="pt").input_ids
        contexts = self._text_encoder(tokens.to(self._device))[0]
        ends = (tokens == self._tokenizer.eos_token_id).int().argmax(dim=1).tolist()
        return [
            Conditioning(context=context, prompt_tokens=max(0, end - 1))
            for context, end in zip(contexts, ends, strict=True)
        ]

    def denoise(self, latents: Tensor, times: Tensor, contexts: Tensor) -> Tensor:
        """Return the raw prediction for (rows, channels, height, width) latents at (rows,) times."""
        prediction: Tensor = self._unet(latents, times, encoder_hidden_states=contexts, return_dict=False)[0]
        return prediction

    def estimate_x0(self, latents: Tensor, prediction: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return the clean latents that a prediction stands for."""
        if self._predicts == "v_prediction":
            return alpha * latents - sigma * prediction
        if self._predicts == "epsilon":
            return (latents - sigma * prediction) / alpha
        return prediction

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures as (rows, height, width, 3) bytes."""
        signal = self._vae.decode(latents / self._vae.config.scaling_factor, return_dict=False)[0]
        return (signal / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _load_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - likewise
    config = read_json(folder / "tokenizer_config.json")
    if config.get("auto_map"):
        raise ModelFolderError(f"{str(folder)!r} brings code of its own (auto_map), which Safelight does not run.")
    with explaining(folder):
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
