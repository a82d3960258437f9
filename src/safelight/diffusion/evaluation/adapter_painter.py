"""Painting with an adapter by diffusers' own pipeline: the seam at which adapters are tried and measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3ControlNetModel,
    SD3Transformer2DModel,
    StableDiffusion3ControlNetPipeline,
    StableDiffusion3Pipeline,
)
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection

from safelight.diffusion.families.components import load_network, load_tokenizer
from safelight.diffusion.families.joint_attention import CountedJointAttention
from safelight.diffusion.families.stable_diffusion_3 import T5_TOKENS
from safelight.diffusion.families.text import encode_clips, tokenize
from safelight.diffusion.folder import SETTINGS, read_json
from safelight.diffusion.lora.reading import read_lora
from safelight.diffusion.lora.targets import lora_targets
from safelight.diffusion.placement import ON_CPU

PAINTED_AT_ONCE = 16

Picture = NDArray[np.uint8]


class Painter(Protocol):
    """Someone who paints with one model and at most one adapter."""

    def paint(self, prompts: Sequence[str], *, seed: int, controls: Sequence[Picture] = ()) -> list[Picture]:
        """Return a `(64, 64, 3)` picture for each prompt, seeds counted up from `seed`; a control each, or none."""
        ...


class DiffusersPainter:
    """A model folder, with a LoRA folded in or a ControlNet beside it."""

    def __init__(self, model: Path, *, lora: Path | None = None, controlnet: Path | None = None) -> None:
        settings = read_json(model / SETTINGS)
        self._steps, self._guidance = int(settings["steps"]), float(settings["guidance_scale"])
        self._tokenizer = load_tokenizer(model / "tokenizer")
        parts = {
            "transformer": load_network(SD3Transformer2DModel, model / "transformer", placement=ON_CPU),
            "text_encoder": load_network(CLIPTextModelWithProjection, model / "text_encoder", placement=ON_CPU),
            "text_encoder_2": load_network(CLIPTextModelWithProjection, model / "text_encoder_2", placement=ON_CPU),
        }
        if lora is not None:
            fold_lora(lora, parts)
        self._encoders = [parts["text_encoder"], parts["text_encoder_2"]]
        attending = [parts["transformer"]]
        shared: dict[str, Any] = {
            "transformer": parts["transformer"],
            "vae": load_network(AutoencoderKL, model / "vae", placement=ON_CPU),
            "scheduler": FlowMatchEulerDiscreteScheduler.from_pretrained(model / "scheduler", local_files_only=True),
            **{f"{kind}{ending}": None for kind in ("text_encoder", "tokenizer") for ending in ("", "_2", "_3")},
        }
        if controlnet is None:
            self._pipeline = StableDiffusion3Pipeline(**shared)
        else:
            net = load_network(SD3ControlNetModel, controlnet, placement=ON_CPU)
            attending.append(net)
            self._pipeline = StableDiffusion3ControlNetPipeline(controlnet=net, **shared)
        self._pipeline.set_progress_bar_config(disable=True)
        for net in attending:
            for block in net.transformer_blocks:
                block.attn.set_processor(CountedJointAttention(T5_TOKENS))

    @torch.no_grad()
    def paint(self, prompts: Sequence[str], *, seed: int, controls: Sequence[Picture] = ()) -> list[Picture]:
        pictures: list[Picture] = []
        for start in range(0, len(prompts), PAINTED_AT_ONCE):
            some = slice(start, start + PAINTED_AT_ONCE)
            pictures += self._paint(prompts[some], seed=seed + start, controls=controls[some])
        return pictures

    def _paint(self, prompts: Sequence[str], *, seed: int, controls: Sequence[Picture]) -> list[Picture]:
        context, pooled = self._encode(prompts)
        no_context, no_pooled = self._encode([""] * len(prompts))
        extra = {}
        if controls:
            signal = torch.from_numpy(np.stack(controls)).permute(0, 3, 1, 2).float() / 127.5 - 1
            extra = {"control_image": signal}
        result = self._pipeline(
            prompt_embeds=context,
            pooled_prompt_embeds=pooled,
            negative_prompt_embeds=no_context,
            negative_pooled_prompt_embeds=no_pooled,
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            height=64,
            width=64,
            generator=[torch.Generator().manual_seed(seed + number) for number in range(len(prompts))],
            output_type="np",
            **extra,
        ).images
        return [(picture * 255).round().astype(np.uint8) for picture in result]

    def _encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        tokens = tokenize(self._tokenizer, prompts)
        contexts, pooled = encode_clips(self._encoders, [tokens, tokens])
        return F.pad(contexts, (0, 0, 0, 1)), pooled


def fold_lora(lora: Path, parts: Mapping[str, nn.Module]) -> None:
    """Add a LoRA to the weights of a model, given by component.

    Raises:
        AdapterFileError: the LoRA is missing, damaged, or made for another model.
    """
    weights = read_lora(lora, {name: lora_targets(part) for name, part in parts.items()})
    for component, changes in weights.parts.items():
        for path, change in changes.items():
            parts[component].get_parameter(f"{path}.weight").data += change.delta()
