"""Writing a LoRA as kohya's trainer does, for the many programs that read such files."""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from safelight.diffusion.lora.targets import text_spellings
from safelight.diffusion.lora.weights import LoraWeights, LowRank

PREFIXES = {
    "unet": "lora_unet_",
    "transformer": "lora_transformer_",
    "text_encoder": "lora_te_",
    "text_encoder_2": "lora_te2_",
}
FIRST_OF_TWO = "lora_te1_"
CLIP_LAYERS = "encoder.layers."


def write_kohya_file(weights: LoraWeights, path: Path) -> None:
    """Write `weights` to `path`, one safetensors file with an alpha, in float32, for each layer."""
    tensors = {
        f"{_layer_name(component, module, weights)}.{ending}": tensor
        for component, part in weights.parts.items()
        for module, change in part.items()
        for ending, tensor in _tensors(change)
    }
    save_file(tensors, path, metadata={"format": "pt"})


def _layer_name(component: str, module: str, weights: LoraWeights) -> str:
    is_first_of_two = component == "text_encoder" and "text_encoder_2" in weights.parts
    prefix = FIRST_OF_TWO if is_first_of_two else PREFIXES[component]
    is_clip = component.startswith("text_encoder") and module.startswith(CLIP_LAYERS)
    return prefix + (text_spellings(module)[-1] if is_clip else module).replace(".", "_")


def _tensors(change: LowRank) -> Iterator[tuple[str, Tensor]]:
    yield "lora_down.weight", change.down.detach().cpu().clone(memory_format=torch.contiguous_format)
    yield "lora_up.weight", change.up.detach().cpu().clone(memory_format=torch.contiguous_format)
    yield "alpha", torch.tensor(change.scale * change.rank)
