"""The Stable Diffusion 1.x and 2.x family: one CLIP text encoder, a UNet, a diffusion process, a KL autoencoder."""

from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

from safelight.diffusion.families.autoencoder import KLAutoencoder
from safelight.diffusion.families.components import CLIP_TOKENIZERS, ModelFolder
from safelight.diffusion.families.defaults import GenerationDefaults
from safelight.diffusion.families.family import Family, FamilyDefinition
from safelight.diffusion.families.processes import Diffusion
from safelight.diffusion.families.text import ClipEncoder
from safelight.diffusion.families.unet import UNetDenoiser

PREDICTIONS = ("epsilon", "v_prediction", "sample")
DEFAULTS = GenerationDefaults(steps=25, guidance_scale=7.5, sampler="dpm++2m")


def compose(folder: ModelFolder) -> Family:
    """Load the parts of a Stable Diffusion model; raises ModelFolderError."""
    text = ClipEncoder(
        component="text_encoder",
        tokenizer=folder.tokenizer("tokenizer"),
        network=folder.network(CLIPTextModel, "text_encoder"),
        context="last",
    )
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


STABLE_DIFFUSION = FamilyDefinition(
    name="stable-diffusion",
    pipeline="StableDiffusionPipeline",
    classes={
        "unet": frozenset({"UNet2DConditionModel"}),
        "vae": frozenset({"AutoencoderKL"}),
        "text_encoder": frozenset({"CLIPTextModel"}),
        "tokenizer": CLIP_TOKENIZERS,
    },
    compose=compose,
)
