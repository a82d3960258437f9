"""The Stable Diffusion XL family: two CLIP text encoders, a UNet conditioned on the size, a diffusion process."""

from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from safelight.diffusion.families.autoencoder import KLAutoencoder
from safelight.diffusion.families.components import CLIP_TOKENIZERS, ModelFolder
from safelight.diffusion.families.defaults import GenerationDefaults
from safelight.diffusion.families.family import Family, FamilyDefinition
from safelight.diffusion.families.parts import TextEncoder
from safelight.diffusion.families.processes import Diffusion
from safelight.diffusion.families.text import ClipEncoder, ConcatWidths, ZerosWithoutPrompt
from safelight.diffusion.families.unet import UNetDenoiser

PREDICTIONS = ("epsilon", "v_prediction")
DEFAULTS = GenerationDefaults(steps=30, guidance_scale=5.0, sampler="dpm++2m")


def compose(folder: ModelFolder) -> Family:
    """Load the parts of a Stable Diffusion XL model; raises ModelFolderError."""
    text = _load_text(folder)
    autoencoder = KLAutoencoder(folder.network_in_single_precision(AutoencoderKL, "vae"))
    return Family(
        text=text,
        denoiser=UNetDenoiser(folder.network(UNet2DConditionModel, "unet"), downscale=autoencoder.downscale),
        process=Diffusion.load(folder, predictions=PREDICTIONS),
        autoencoder=autoencoder,
        placement=folder.placement,
        guidance="classifier-free",
        defaults=DEFAULTS,
    )


def _load_text(folder: ModelFolder) -> TextEncoder:
    first = ClipEncoder(
        component="text_encoder",
        tokenizer=folder.tokenizer("tokenizer"),
        network=folder.network(CLIPTextModel, "text_encoder"),
        context="penultimate",
    )
    second = ClipEncoder(
        component="text_encoder_2",
        tokenizer=folder.tokenizer("tokenizer_2"),
        network=folder.network(CLIPTextModelWithProjection, "text_encoder_2"),
        context="penultimate",
        pooled="text_embeds",
    )
    both = ConcatWidths(encoders=(first, second))
    return ZerosWithoutPrompt(encoder=both) if folder.index.get("force_zeros_for_empty_prompt", True) else both


STABLE_DIFFUSION_XL = FamilyDefinition(
    name="stable-diffusion-xl",
    pipeline="StableDiffusionXLPipeline",
    classes={
        "unet": frozenset({"UNet2DConditionModel"}),
        "vae": frozenset({"AutoencoderKL"}),
        "text_encoder": frozenset({"CLIPTextModel"}),
        "text_encoder_2": frozenset({"CLIPTextModelWithProjection"}),
        "tokenizer": CLIP_TOKENIZERS,
        "tokenizer_2": CLIP_TOKENIZERS,
    },
    compose=compose,
)
