"""From a model folder to a model that is ready to serve."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import msgspec

from safelight.core.adapter import AdapterHandle
from safelight.core.errors import ModelFolderError
from safelight.core.model import Guidance, ModelSpec
from safelight.diffusion.controlnets.controlnet import ControlNet
from safelight.diffusion.families.defaults import GenerationDefaults
from safelight.diffusion.families.family import Family
from safelight.diffusion.families.parts import Conditioning
from safelight.diffusion.families.registry import family_of
from safelight.diffusion.folder import SETTINGS, fingerprint, read_json
from safelight.diffusion.lora.model_loras import ModelLoras
from safelight.diffusion.measuring import (
    measure_decode_s,
    measure_encode_picture_s,
    measure_encode_s,
    measure_step_times,
)
from safelight.diffusion.measuring_loras import measure_adapter_costs
from safelight.diffusion.placement import ON_CPU, Placement
from safelight.diffusion.preview import PreviewMap, fit_preview
from safelight.diffusion.samplers.registry import samplers_by_name

ROWS_OF_A_PICTURE: Mapping[Guidance, int] = MappingProxyType({"classifier-free": 2, "embedded": 1, "none": 1})
"""Denoiser rows of one picture with guidance, by how the model is guided."""

SIDES_OVER_NATIVE = 2
"""How many times its native side a picture may measure."""


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A loaded model, and all that serving needs to know about it.

    Attributes:
        weights: a fingerprint of the weights.
        unprompted: the conditioning of a request without a negative prompt.
        controlnets: by handle.
    """

    family: Family
    placement: Placement
    spec: ModelSpec
    weights: str
    preview: PreviewMap
    unprompted: Conditioning
    loras: ModelLoras
    controlnets: dict[AdapterHandle, ControlNet] = field(default_factory=dict)


def load_model(
    folder: Path,
    *,
    placement: Placement = ON_CPU,
    max_denoiser_rows: int,
    lora_ranks: int,
    deterministic: bool = False,
) -> LoadedModel:
    """Load and measure the model in `folder`, which is served under the folder's name.

    If `deterministic`, calls of one picture each are measured.

    Raises:
        ModelFolderError: if it cannot be served.
    """
    definition = family_of(folder)
    weights = fingerprint(folder)
    family = definition.load(folder, placement=placement)
    defaults = _read_defaults(folder / SETTINGS, family.defaults)
    width, height = family.native_size
    name = folder.resolve().name
    loras = ModelLoras(name, family.networks, pages=lora_ranks)
    of_a_picture = ROWS_OF_A_PICTURE[family.guidance]
    rows_per_call = min(of_a_picture, max_denoiser_rows) if deterministic else max_denoiser_rows
    spec = ModelSpec(
        name=name,
        family=definition.name,
        width=width,
        height=height,
        size_multiple=family.size_multiple,
        max_side=SIDES_OVER_NATIVE * max(width, height),
        steps=defaults.steps,
        guidance_scale=defaults.guidance_scale,
        sampler=defaults.sampler,
        samplers=tuple(samplers_by_name()),
        step_times=measure_step_times(
            family, placement, max_denoiser_rows=max_denoiser_rows, rows_per_call=rows_per_call
        ),
        encode_s=measure_encode_s(family, placement),
        decode_s=measure_decode_s(family, placement),
        encode_picture_s=measure_encode_picture_s(family, placement),
        guidance=family.guidance,
        mixes_sizes=family.mixes_sizes,
        caches_steps=family.caches_steps,
        weights=weights,
        adapter_costs=measure_adapter_costs(family, loras, placement, max_denoiser_rows=rows_per_call)
        if lora_ranks
        else None,
    )
    return LoadedModel(
        family=family,
        placement=placement,
        spec=spec,
        weights=weights,
        preview=fit_preview(family),
        unprompted=family.encode([None])[0],
        loras=loras,
    )


def _read_defaults(path: Path, of_family: GenerationDefaults) -> GenerationDefaults:
    if not path.exists():
        return of_family
    try:
        defaults = msgspec.convert(msgspec.to_builtins(of_family) | read_json(path), type=GenerationDefaults)
    except msgspec.ValidationError as error:
        raise ModelFolderError(f"{str(path)!r} is not a valid settings file: {error}") from None
    if defaults.sampler not in samplers_by_name():
        raise ModelFolderError(
            f"{str(path)!r} names sampler {defaults.sampler!r}; known are {', '.join(samplers_by_name())}."
        )
    return defaults
