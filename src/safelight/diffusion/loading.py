"""From a model folder to a model that is ready to serve."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from safelight.core.errors import ModelFolderError
from safelight.core.model import ModelSpec
from safelight.diffusion.family import Conditioning, Family
from safelight.diffusion.folder import SETTINGS
from safelight.diffusion.measuring import measure_decode_s, measure_encode_s, measure_step_times
from safelight.diffusion.preview import PreviewMap, fit_preview
from safelight.diffusion.samplers import SAMPLERS_BY_NAME
from safelight.diffusion.stable_diffusion import StableDiffusion

SIDES_OVER_NATIVE = 2
"""How many times its native side a picture may measure."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a silent request gets; a model folder may state it in `safelight.json`."""

    steps: int = 25
    guidance_scale: float = 5.0
    sampler: str = "dpm++2m"


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A family with all that serving needs to know about it; the empty prompt is encoded once."""

    family: Family
    spec: ModelSpec
    preview: PreviewMap
    empty_prompt: Conditioning


def load_model(folder: Path, *, device: str, max_denoiser_rows: int) -> LoadedModel:
    """Load and measure the model in `folder`, which is served under the folder's name.

    Raises:
        ModelFolderError: if it cannot be served.
    """
    settings = _read_settings(folder / SETTINGS)
    family = StableDiffusion(folder, device=device)
    width, height = family.native_size
    spec = ModelSpec(
        name=folder.resolve().name,
        family=family.name,
        width=width,
        height=height,
        size_multiple=family.size_multiple,
        max_side=SIDES_OVER_NATIVE * max(width, height),
        steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        sampler=settings.sampler,
        samplers=tuple(SAMPLERS_BY_NAME),
        step_times=measure_step_times(family, max_denoiser_rows=max_denoiser_rows),
        encode_s=measure_encode_s(family),
        decode_s=measure_decode_s(family),
    )
    return LoadedModel(family=family, spec=spec, preview=fit_preview(family), empty_prompt=family.encode([""])[0])


def _read_settings(path: Path) -> Settings:
    if not path.exists():
        return Settings()
    try:
        settings = msgspec.json.decode(path.read_bytes(), type=Settings)
    except (OSError, msgspec.DecodeError) as error:
        raise ModelFolderError(f"{str(path)!r} is not a valid settings file: {error}") from None
    if settings.sampler not in SAMPLERS_BY_NAME:
        raise ModelFolderError(
            f"{str(path)!r} names sampler {settings.sampler!r}; known are {', '.join(SAMPLERS_BY_NAME)}."
        )
    return settings
