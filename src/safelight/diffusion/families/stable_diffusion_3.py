"""The Stable Diffusion 3 and 3.5 family: two CLIP text encoders and perhaps T5, a joint transformer, a flow.

The embedded `shapes` models are of this family.
"""

from diffusers import AutoencoderKL, SD3Transformer2DModel
from transformers import CLIPTextModelWithProjection, T5EncoderModel

from safelight.diffusion.families.autoencoder import KLAutoencoder
from safelight.diffusion.families.components import CLIP_TOKENIZERS, T5_TOKENIZERS, ModelFolder
from safelight.diffusion.families.defaults import GenerationDefaults
from safelight.diffusion.families.family import Family, FamilyDefinition
from safelight.diffusion.families.parts import TextEncoder
from safelight.diffusion.families.processes import Flow
from safelight.diffusion.families.sd3_transformer import SD3Denoiser
from safelight.diffusion.families.text import ClipEncoder, ConcatTokens, ConcatWidths, T5Encoder, ZeroToken

T5_TOKENS = 256
"""Tokens of a prompt as T5 reads it; without T5, diffusers puts so many tokens of zeros in their place."""

T5_LAST_NORM = "encoder.final_layer_norm.weight"
"""A T5 in which it is zero, as the embedded models have for the sake of stock pipelines, is the same as none."""

DEFAULTS = GenerationDefaults(steps=28, guidance_scale=5.0, sampler="dpm++2m")


def compose(folder: ModelFolder) -> Family:
    """Load the parts of a Stable Diffusion 3 model; raises ModelFolderError."""
    clips = ConcatWidths(encoders=[_load_clip(folder, ending) for ending in ("", "_2")])
    transformer = folder.network(SD3Transformer2DModel, "transformer")
    width = int(transformer.config.joint_attention_dim)
    has_t5 = folder.has_numbers("text_encoder_3", T5_LAST_NORM)
    last = _load_t5(folder) if has_t5 else ZeroToken(width=width, placement=folder.placement)
    return Family(
        text=ConcatTokens(encoders=(clips, last), width=width),
        denoiser=SD3Denoiser(transformer, context_count=1 if has_t5 else T5_TOKENS),
        process=Flow.load(folder),
        autoencoder=KLAutoencoder(folder.network_in_single_precision(AutoencoderKL, "vae")),
        placement=folder.placement,
        guidance="classifier-free",
        defaults=DEFAULTS,
    )


def _load_clip(folder: ModelFolder, ending: str) -> ClipEncoder:
    return ClipEncoder(
        component=f"text_encoder{ending}",
        tokenizer=folder.tokenizer(f"tokenizer{ending}"),
        network=folder.network(CLIPTextModelWithProjection, f"text_encoder{ending}"),
        context="penultimate",
        pooled="text_embeds",
    )


def _load_t5(folder: ModelFolder) -> TextEncoder:
    return T5Encoder(
        tokenizer=folder.tokenizer("tokenizer_3"),
        network=folder.network(T5EncoderModel, "text_encoder_3"),
        tokens=T5_TOKENS,
    )


STABLE_DIFFUSION_3 = FamilyDefinition(
    name="stable-diffusion-3",
    pipeline="StableDiffusion3Pipeline",
    classes={
        "transformer": frozenset({"SD3Transformer2DModel"}),
        "vae": frozenset({"AutoencoderKL"}),
        "text_encoder": frozenset({"CLIPTextModelWithProjection"}),
        "text_encoder_2": frozenset({"CLIPTextModelWithProjection"}),
        "text_encoder_3": frozenset({"T5EncoderModel", None}),
        "tokenizer": CLIP_TOKENIZERS,
        "tokenizer_2": CLIP_TOKENIZERS,
        "tokenizer_3": T5_TOKENIZERS | {None},
        "scheduler": frozenset({"FlowMatchEulerDiscreteScheduler"}),
    },
    compose=compose,
)
