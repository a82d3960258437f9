"""The parts that families share: loading them from a folder, tokenizing, decoding."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import AutoTokenizer

from safelight.core.errors import ModelFolderError
from safelight.diffusion.folder import check_weights, explaining, read_json
from safelight.diffusion.placement import Placement

TOKENIZERS = frozenset({"CLIPTokenizer", "CLIPTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"})
"""Tokenizer classes that families may name."""

T5_TOKENIZERS = frozenset({"T5Tokenizer", "T5TokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"})
"""Likewise, for a T5 encoder."""


def load_part(kind: Any, folder: Path, *, placement: Placement) -> Any:  # noqa: ANN401 - the libraries' classes are untyped
    """Load one network, ready to compute and never to learn.

    Raises:
        ModelFolderError: if its folder does not hold whole safetensors weights of this kind.
    """
    check_weights(folder)
    with explaining(folder):
        part = kind.from_pretrained(folder, use_safetensors=True, local_files_only=True, dtype=placement.dtype)
    return part.to(placement.device).eval().requires_grad_(requires_grad=False)


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - likewise
    """Load a tokenizer that is plain data.

    Raises:
        ModelFolderError: if there is none, or it brings code.
    """
    config = read_json(folder / "tokenizer_config.json")
    if config.get("auto_map"):
        raise ModelFolderError(f"{str(folder)!r} brings code of its own (auto_map), which Safelight does not run.")
    with explaining(folder):
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def tokenize(tokenizer: Any, prompts: Sequence[str | None], length: int | None = None) -> Tensor:  # noqa: ANN401 - likewise
    """Return (prompts, tokens) numbers, cut or padded to `length` or the tokenizer's own, as diffusers does."""
    texts = [prompt or "" for prompt in prompts]
    tokens: Tensor = tokenizer(
        texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids
    return tokens


def count_words(tokenizer: Any, tokens: Tensor) -> list[int]:  # noqa: ANN401 - likewise
    """Return how many tokens of each row lie between start and end."""
    ends = (tokens == tokenizer.eos_token_id).int().argmax(dim=1).tolist()
    return [max(0, end - 1) for end in ends]


def downscale(autoencoder: AutoencoderKL) -> int:
    """Return how many pixels one place of the latents is wide."""
    return int(2 ** (len(autoencoder.config.block_out_channels) - 1))


def encode(autoencoder: AutoencoderKL, signal: Tensor, noise: Tensor) -> Tensor:
    """Return latents (channels, height, width), scaled and shifted as a denoiser's are, of a picture.

    `signal` is the picture as (3, height, width) numbers in [0, 1]; `noise`, of the latents' shape, chooses from the
    autoencoder's distribution.
    """
    config = autoencoder.config
    seen = autoencoder.encode((2 * signal - 1).unsqueeze(0).to(autoencoder.device)).latent_dist
    latents: Tensor = seen.mean[0] + seen.std[0] * noise.to(autoencoder.device)
    return (latents - (config.shift_factor or 0.0)) * config.scaling_factor


def decode(autoencoder: AutoencoderKL, latents: Tensor) -> Tensor:
    """Return pictures as (rows, height, width, 3) bytes."""
    config = autoencoder.config
    scaled = latents.to(autoencoder.device) / config.scaling_factor + (config.shift_factor or 0.0)
    signal = autoencoder.decode(scaled, return_dict=False)[0]
    return (signal / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
