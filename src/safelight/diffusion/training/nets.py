"""The networks of the embedded family, untrained; every size that matters stands here."""

from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, PreTrainedTokenizerFast, T5Config, T5EncoderModel

from safelight.diffusion.families.joint_attention import CountedJointAttention
from safelight.diffusion.families.stable_diffusion_3 import T5_TOKENS
from safelight.shapes.vocabulary import PICTURE_SIZE

LATENT_CHANNELS = 16
LATENT_SIDE = PICTURE_SIZE // 8
TEXT_WIDTH = 96
TEXT_HEADS = 3
LARGEST_SIDE = 2 * LATENT_SIDE
FIRST_LOG_VARIANCE = -5.0


def make_autoencoder() -> AutoencoderKL:
    """Return an autoencoder between (rows, 3, 64, 64) pictures and (rows, 16, 8, 8) latents."""
    net = AutoencoderKL(
        sample_size=PICTURE_SIZE,
        latent_channels=LATENT_CHANNELS,
        block_out_channels=(16, 32, 48, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=8,
        shift_factor=0.0,
    )
    # Every residual branch starts at zero, so that the first batches fit a linear autoencoder.
    for name, module in net.named_modules():
        if name.endswith(("conv2", "to_out.0")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    # Latents start out nearly free of noise; from the usual unit noise the first thousand batches are lost.
    nn.init.constant_(net.quant_conv.bias.data[LATENT_CHANNELS:], FIRST_LOG_VARIANCE)
    return net


def make_text_encoder(tokenizer: PreTrainedTokenizerFast) -> CLIPTextModelWithProjection:
    """Return a two-layer text encoder."""
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=TEXT_HEADS,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def make_silent_t5(tokenizer: PreTrainedTokenizerFast) -> T5EncoderModel:
    """Return a T5 encoder that answers every prompt with zeros.

    A stock diffusers pipeline opens a Stable Diffusion 3 folder only with a T5 in it, and reads zeros in its place when
    told that there is none.
    """
    net = T5EncoderModel(
        T5Config(vocab_size=len(tokenizer), d_model=2 * TEXT_WIDTH, d_kv=8, d_ff=8, num_layers=1, num_heads=1)
    )
    nn.init.zeros_(net.encoder.final_layer_norm.weight)
    return net


def make_large_denoiser() -> SD3Transformer2DModel:
    """Return the denoiser of `shapes-large`."""
    return _make_denoiser(layers=6, heads=6, head_width=32)


def make_small_denoiser() -> SD3Transformer2DModel:
    """Return the denoiser of `shapes-small`."""
    return _make_denoiser(layers=3, heads=5, head_width=24)


def _make_denoiser(*, layers: int, heads: int, head_width: int) -> SD3Transformer2DModel:
    net = SD3Transformer2DModel(
        sample_size=LATENT_SIDE,
        patch_size=1,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_layers=layers,
        attention_head_dim=head_width,
        num_attention_heads=heads,
        joint_attention_dim=2 * TEXT_WIDTH,
        caption_projection_dim=heads * head_width,
        pooled_projection_dim=2 * TEXT_WIDTH,
        pos_embed_max_size=LARGEST_SIDE,
        qk_norm="rms_norm",
    )
    # Every block starts as the identity and the whole as zero (Peebles and Xie, 2023, adaLN-Zero).
    for block in net.transformer_blocks:
        block.attn.set_processor(CountedJointAttention(T5_TOKENS, in_single_precision=True))
        for norm in (block.norm1, block.norm1_context):
            nn.init.zeros_(norm.linear.weight)
            nn.init.zeros_(norm.linear.bias)
    for layer in (net.norm_out.linear, net.proj_out):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return net


def hidden_matrices(denoiser: SD3Transformer2DModel) -> list[nn.Parameter]:
    """Return the weight matrices between a block's input and output, modulation apart."""
    return [
        parameter
        for name, parameter in denoiser.transformer_blocks.named_parameters()
        if parameter.ndim == 2 and "norm1" not in name
    ]


def make_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Return the flow that both models are trained on."""
    return FlowMatchEulerDiscreteScheduler(shift=1.0)
