"""Tiny models with random weights, and what an adapter does to them."""

import torch
from diffusers import DDIMScheduler, SD3Transformer2DModel, StableDiffusionPipeline, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from safelight.diffusion.lora.targets import lora_targets

CLOSE = 1e-6


def tiny_unet(*, seed=0, **fields):
    torch.manual_seed(seed)
    defaults = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 16,
        "attention_head_dim": 4,
        "norm_num_groups": 4,
    }
    return UNet2DConditionModel(**(defaults | fields)).eval()


def tiny_text_encoder(*, seed=1, width=16, projection=False):
    torch.manual_seed(seed)
    config = CLIPTextConfig(
        vocab_size=32,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=8,
        projection_dim=width,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def tiny_sd3(*, seed=2):
    torch.manual_seed(seed)
    return SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        num_layers=2,
        attention_head_dim=4,
        num_attention_heads=2,
        joint_attention_dim=16,
        caption_projection_dim=8,
        pooled_projection_dim=16,
        out_channels=4,
        pos_embed_max_size=8,
    ).eval()


def tiny_pipeline():
    """A Stable Diffusion pipeline with nothing in it but what LoRAs change."""
    return StableDiffusionPipeline(
        vae=None,
        text_encoder=tiny_text_encoder(),
        tokenizer=None,
        unet=tiny_unet(),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def targets_of(**components: nn.Module):
    return {name: lora_targets(component) for name, component in components.items()}


def weights_of(**components: nn.Module):
    """Component -> path -> a copy of the weight, for every layer that a LoRA could change."""
    return {
        name: {path: component.get_submodule(path).weight.detach().clone() for path in lora_targets(component)}
        for name, component in components.items()
    }


def randomise(model: nn.Module, *, seed=3, spread=0.05):
    """Give all factors of PEFT's adapters random numbers; fresh ones change nothing."""
    luck = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=luck) * spread


def applied(lora, weights):
    """The weights with the LoRA's changes added."""
    return {
        component: {
            path: weight + lora.parts[component][path].delta() if path in lora.parts.get(component, {}) else weight
            for path, weight in part.items()
        }
        for component, part in weights.items()
    }


def largest_difference(left, right):
    assert {name: part.keys() for name, part in left.items()} == {name: part.keys() for name, part in right.items()}
    return max(float((part[path] - right[name][path]).abs().max()) for name, part in left.items() for path in part)


def fused(pipeline, file):
    """The weights after diffusers has loaded the file, fused it and let go of it."""
    pipeline.load_lora_weights(str(file.parent), weight_name=file.name)
    names = [name for name in ("unet", "text_encoder", "text_encoder_2") if getattr(pipeline, name, None) is not None]
    pipeline.fuse_lora(components=names)
    pipeline.unload_lora_weights()
    return weights_of(**{name: getattr(pipeline, name) for name in names})
