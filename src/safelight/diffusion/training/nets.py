"""The networks of the embedded family, untrained; every size that matters stands here."""

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from safelight.shapes.vocabulary import PICTURE_SIZE

LATENT_CHANNELS = 16
LATENT_SIDE = PICTURE_SIZE // 8
TEXT_WIDTH = 128
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
    )
    # Every residual branch starts silent, so that the first batches fit a linear autoencoder.
    for name, module in net.named_modules():
        if name.endswith(("conv2", "to_out.0")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    # Latents start out nearly free of noise; from the usual unit noise the first thousand batches are lost.
    nn.init.constant_(net.quant_conv.bias.data[LATENT_CHANNELS:], FIRST_LOG_VARIANCE)
    return net


def make_text_encoder(tokenizer: PreTrainedTokenizerFast) -> CLIPTextModel:
    """Return a two-layer text encoder."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def make_large_denoiser() -> UNet2DConditionModel:
    """Return the denoiser of `shapes-large`."""
    return _make_denoiser(channels=(80, 128), layers=2)


def make_small_denoiser() -> UNet2DConditionModel:
    """Return the denoiser of `shapes-small`."""
    return _make_denoiser(channels=(48, 64), layers=1)


def _make_denoiser(*, channels: tuple[int, int], layers: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=channels,
        layers_per_block=layers,
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # diffusers' name for the number of heads of this class
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
        use_linear_projection=True,
    )


def make_scheduler() -> DDIMScheduler:
    """Return the noise schedule that both models are trained with.

    Captions decide where noise is 3 to 30 times the signal. A linear schedule spends a third of its steps there, a
    cosine one a fifth.
    """
    return DDIMScheduler(
        beta_schedule="linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,
        clip_sample=False,
    )
