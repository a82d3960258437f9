"""From a model folder to a model that is ready to serve."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from safelight.core.errors import ModelFolderError
from safelight.core.model import ModelSpec
from safelight.diffusion.controlnets.steering import SteeringNet
from safelight.diffusion.families.defaults import Settings
from safelight.diffusion.families.family import Conditioning, Family
from safelight.diffusion.families.flux import Flux
from safelight.diffusion.families.stable_diffusion import StableDiffusion
from safelight.diffusion.families.stable_diffusion_3 import StableDiffusion3
from safelight.diffusion.families.stable_diffusion_xl import StableDiffusionXL
from safelight.diffusion.folder import INDEX, SETTINGS, fingerprint, read_index, read_json
from safelight.diffusion.lora.model_loras import ModelLoras
from safelight.diffusion.measuring import measure_decode_s, measure_encode_s, measure_step_times
from safelight.diffusion.measuring_loras import measure_adapter_costs
from safelight.diffusion.placement import ON_CPU, Placement
from safelight.diffusion.preview import PreviewMap, fit_preview
from safelight.diffusion.samplers.sampler import SAMPLERS_BY_NAME

FAMILIES: tuple[type[Family], ...] = (StableDiffusion, StableDiffusionXL, StableDiffusion3, Flux)

SIDES_OVER_NATIVE = 2
"""How many times its native side a picture may measure."""


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A family with all that serving needs to know about it.

    `weights` is a fingerprint of them, `unprompted` is what guidance steers away from where nobody said what, and
    `controlnets` are by handle.
    """

    family: Family
    placement: Placement
    spec: ModelSpec
    weights: str
    preview: PreviewMap
    unprompted: Conditioning
    loras: ModelLoras
    controlnets: dict[str, SteeringNet] = field(default_factory=dict)


def load_model(folder: Path, *, placement: Placement = ON_CPU, max_denoiser_rows: int, lora_ranks: int) -> LoadedModel:
    """Load and measure the model in `folder`, which is served under the folder's name.

    Raises:
        ModelFolderError: if it cannot be served.
    """
    family = _family_of(folder)(folder, placement=placement)
    settings = _read_settings(folder / SETTINGS, family.defaults)
    width, height = family.native_size
    name = folder.resolve().name
    loras = ModelLoras(name, family.networks, pages=lora_ranks)
    spec = ModelSpec(
        name=name,
        family=family.name,
        width=width,
        height=height,
        size_multiple=family.size_multiple,
        max_side=SIDES_OVER_NATIVE * max(width, height),
        steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        sampler=settings.sampler,
        samplers=tuple(SAMPLERS_BY_NAME),
        step_times=measure_step_times(family, placement, max_denoiser_rows=max_denoiser_rows),
        encode_s=measure_encode_s(family, placement),
        decode_s=measure_decode_s(family, placement),
        guidance=family.guidance,
        adapter_costs=measure_adapter_costs(family, loras, placement, max_denoiser_rows=max_denoiser_rows)
        if lora_ranks
        else None,
    )
    return LoadedModel(
        family=family,
        placement=placement,
        spec=spec,
        weights=fingerprint(folder),
        preview=fit_preview(family),
        unprompted=family.encode([None])[0],
        loras=loras,
    )


def _family_of(folder: Path) -> type[Family]:
    named = read_index(folder, allowed={}).get("_class_name")
    for family in FAMILIES:
        if family.pipeline == named:
            return family
    known = ", ".join(family.pipeline for family in FAMILIES)
    raise ModelFolderError(f"{str(folder / INDEX)!r} is of class {named!r}; Safelight serves {known}.")


def _read_settings(path: Path, defaults: Settings) -> Settings:
    if not path.exists():
        return defaults
    try:
        settings = msgspec.convert(msgspec.to_builtins(defaults) | read_json(path), type=Settings)
    except msgspec.ValidationError as error:
        raise ModelFolderError(f"{str(path)!r} is not a valid settings file: {error}") from None
    if settings.sampler not in SAMPLERS_BY_NAME:
        raise ModelFolderError(
            f"{str(path)!r} names sampler {settings.sampler!r}; known are {', '.join(SAMPLERS_BY_NAME)}."
        )
    return settings
