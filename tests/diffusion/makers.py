"""Tiny models with random weights, written as the diffusers folders that users have."""

import inspect
import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxControlNetModel,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3ControlNetModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from safelight.diffusion.training.tokenizer import make_tokenizer
from safelight.shapes.vocabulary import KNOWN_WORDS

WIDTH = 32
LATENT_CHANNELS = 4
LOUDER = 3.0
"""What a text encoder's embeddings are multiplied by, so that the prompt shows in the picture."""


def write_stable_diffusion(folder: Path, **scheduler_config) -> Path:
    """Write a Stable Diffusion 1.x model: predicts noise unless told otherwise."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    StableDiffusionPipeline(
        vae=AutoencoderKL(
            sample_size=32,
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
        ),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=WIDTH,
                intermediate_size=WIDTH,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=tokenizer.model_max_length,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        ),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(16, 32),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=WIDTH,
            attention_head_dim=4,
            norm_num_groups=8,
        ),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            **scheduler_config,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def write_stable_diffusion_xl(folder: Path, *, force_zeros_for_empty_prompt: bool = True) -> Path:
    """Write a Stable Diffusion XL model."""
    torch.manual_seed(1)
    tokenizer = make_tokenizer()
    StableDiffusionXLPipeline(
        vae=_autoencoder(),
        text_encoder=_clip(CLIPTextModel, tokenizer),
        text_encoder_2=_clip(CLIPTextModelWithProjection, tokenizer),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(16, 32),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=2 * WIDTH,
            attention_head_dim=(2, 4),
            transformer_layers_per_block=(1, 2),
            norm_num_groups=8,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=WIDTH + 6 * 8,
        ),
        scheduler=DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
        ),
        force_zeros_for_empty_prompt=force_zeros_for_empty_prompt,
        add_watermarker=False,
    ).save_pretrained(folder)
    return folder


def write_stable_diffusion_3(folder: Path, *, has_t5: bool = True, is_3_5: bool = True, **scheduler_config) -> Path:
    """Write a Stable Diffusion 3 model, with or without T5, and with or without what 3.5 added."""
    torch.manual_seed(2)
    tokenizer = make_tokenizer()
    StableDiffusion3Pipeline(
        vae=_autoencoder(shift_factor=0.06),
        text_encoder=_clip(CLIPTextModelWithProjection, tokenizer),
        text_encoder_2=_clip(CLIPTextModelWithProjection, tokenizer),
        text_encoder_3=_t5(2 * WIDTH) if has_t5 else None,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        tokenizer_3=_t5_tokenizer() if has_t5 else None,
        transformer=SD3Transformer2DModel(
            sample_size=16,
            patch_size=2,
            in_channels=LATENT_CHANNELS,
            out_channels=LATENT_CHANNELS,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            caption_projection_dim=32,
            joint_attention_dim=2 * WIDTH,
            pooled_projection_dim=2 * WIDTH,
            pos_embed_max_size=32,
            dual_attention_layers=(0,) if is_3_5 else (),
            qk_norm="rms_norm" if is_3_5 else None,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(**scheduler_config),
    ).save_pretrained(folder)
    if not has_t5:
        index = folder / "model_index.json"
        nothing = dict.fromkeys(("text_encoder_3", "tokenizer_3"), (None, None))
        index.write_text(json.dumps(json.loads(index.read_text()) | nothing))
    return folder


def write_flux(folder: Path, *, is_dev: bool = True) -> Path:
    """Write a FLUX.1 model: `dev`, which reads guidance and shifts dynamically, or `schnell`."""
    torch.manual_seed(3)
    tokenizer = make_tokenizer()
    FluxPipeline(
        vae=_autoencoder(shift_factor=0.1),
        text_encoder=_clip(CLIPTextModel, tokenizer),
        text_encoder_2=_t5(WIDTH),
        tokenizer=tokenizer,
        tokenizer_2=_t5_tokenizer(),
        transformer=_louder(
            FluxTransformer2DModel(
                in_channels=4 * LATENT_CHANNELS,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=WIDTH,
                pooled_projection_dim=WIDTH,
                axes_dims_rope=(4, 6, 6),
                guidance_embeds=is_dev,
            ),
            by=1.5,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(
            shift=3.0 if is_dev else 1.0, use_dynamic_shifting=is_dev, base_shift=0.5, max_shift=1.15
        ),
    ).save_pretrained(folder)
    return folder


def _autoencoder(**config) -> AutoencoderKL:
    return AutoencoderKL(
        sample_size=32,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=LATENT_CHANNELS,
        **config,
    )


def _clip(kind, tokenizer: PreTrainedTokenizerFast):
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _louder(kind(config))


def _t5(width: int) -> T5EncoderModel:
    config = T5Config(vocab_size=2 + len(KNOWN_WORDS), d_model=width, d_kv=8, d_ff=width, num_layers=2, num_heads=2)
    return T5EncoderModel(config)


def _louder(encoder, by=LOUDER):
    for name, weight in encoder.named_parameters():
        if "norm" not in name and "bias" not in name:
            weight.data.mul_(by)
    return encoder


def _t5_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: index for index, word in enumerate(("<pad>", "</s>", *KNOWN_WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", pad_token="<pad>", model_max_length=512
    )


CONTROLNETS = {
    "StableDiffusionPipeline": ("unet", ControlNetModel),
    "StableDiffusionXLPipeline": ("unet", ControlNetModel),
    "StableDiffusion3Pipeline": ("transformer", SD3ControlNetModel),
    "FluxPipeline": ("transformer", FluxControlNetModel),
}


def write_controlnet(folder: Path, model: Path, *, seed: int = 0, **config) -> Path:
    """Write a ControlNet for a model folder: as wide as its denoiser, no zeros anywhere, so that it shows."""
    part, kind = CONTROLNETS[json.loads((model / "model_index.json").read_text())["_class_name"]]
    denoiser = json.loads((model / part / "config.json").read_text())
    known = inspect.signature(kind).parameters
    both = denoiser | {"conditioning_embedding_out_channels": (8, 16)} | config
    torch.manual_seed(seed)
    net = kind(**{name: value for name, value in both.items() if name in known})
    shout(net)
    net.save_pretrained(folder)
    return folder


def shout(net) -> None:
    """Give random values to the weights that a ControlNet starts from zero with."""
    for weight in net.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.2)
