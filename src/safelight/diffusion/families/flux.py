"""The FLUX.1 family: CLIP for one vector, T5 for the text, a transformer over packed latents, a flow.

`dev` reads the guidance scale as a number; `schnell` is not guided.
"""

from diffusers import AutoencoderKL, FluxTransformer2DModel
from transformers import CLIPTextModel, T5EncoderModel

from safelight.diffusion.families.autoencoder import KLAutoencoder
from safelight.diffusion.families.components import CLIP_TOKENIZERS, T5_TOKENIZERS, ModelFolder
from safelight.diffusion.families.defaults import GenerationDefaults
from safelight.diffusion.families.family import Family, FamilyDefinition
from safelight.diffusion.families.flux_transformer import FluxDenoiser
from safelight.diffusion.families.processes import Flow
from safelight.diffusion.families.text import ClipEncoder, ConcatTokens, T5Encoder

T5_TOKENS = 512
DEV = GenerationDefaults(steps=28, guidance_scale=3.5, sampler="euler")
SCHNELL = GenerationDefaults(steps=4, guidance_scale=0.0, sampler="euler")


def compose(folder: ModelFolder) -> Family:
    """Load the parts of a FLUX.1 model; raises ModelFolderError."""
    clip = ClipEncoder(
        component="text_encoder",
        tokenizer=folder.tokenizer("tokenizer"),
        network=folder.network(CLIPTextModel, "text_encoder"),
        pooled="pooler_output",
    )
    t5 = T5Encoder(
        tokenizer=folder.tokenizer("tokenizer_2"),
        network=folder.network(T5EncoderModel, "text_encoder_2"),
        tokens=T5_TOKENS,
    )
    transformer = folder.network(FluxTransformer2DModel, "transformer")
    denoiser = FluxDenoiser(transformer)
    return Family(
        text=ConcatTokens(encoders=(clip, t5), width=int(transformer.config.joint_attention_dim)),
        denoiser=denoiser,
        process=Flow.load(folder, starts_at_one=True),
        autoencoder=KLAutoencoder(folder.network_in_single_precision(AutoencoderKL, "vae")),
        placement=folder.placement,
        guidance="embedded" if denoiser.reads_guidance else "none",
        defaults=DEV if denoiser.reads_guidance else SCHNELL,
    )


FLUX = FamilyDefinition(
    name="flux",
    pipeline="FluxPipeline",
    classes={
        "transformer": frozenset({"FluxTransformer2DModel"}),
        "vae": frozenset({"AutoencoderKL"}),
        "text_encoder": frozenset({"CLIPTextModel"}),
        "text_encoder_2": frozenset({"T5EncoderModel"}),
        "tokenizer": CLIP_TOKENIZERS,
        "tokenizer_2": T5_TOKENIZERS,
        "scheduler": frozenset({"FlowMatchEulerDiscreteScheduler"}),
    },
    compose=compose,
)
