"""How kohya's trainer names layers: the module's path with underscores for dots, in the spelling of the trained code.

Stable Diffusion XL is trained on the UNet of the original release, whose blocks are numbered in one row, and FLUX on
the original transformer, whose projections are fused.
"""

from collections.abc import Iterator, Mapping

from safelight.diffusion.lora.flux_names import flux_names
from safelight.diffusion.lora.ldm_names import ldm_names
from safelight.diffusion.lora.targets import Modules, text_spellings

PREFIXES: Mapping[str, tuple[str, ...]] = {
    "lora_unet_": ("unet", "transformer"),
    "lora_transformer_": ("transformer",),
    "lora_te_": ("text_encoder",),
    "lora_te1_": ("text_encoder",),
    "lora_te2_": ("text_encoder_2",),
}
"""Prefix -> the components that it may stand for, the first one that the model has."""


def kohya_names(component: str, modules: Modules) -> dict[str, tuple[str, ...]]:
    """Return, for each name that a file may use, the modules that it stands for, in the order of its rows."""
    return {name.replace(".", "_"): paths for name, paths in _names(component, modules)}


def _names(component: str, modules: Modules) -> Iterator[tuple[str, tuple[str, ...]]]:
    if component == "unet":
        yield from ((name, (path,)) for name, path in ldm_names(modules).items())
    if component == "transformer":
        yield from flux_names(modules).items()
    for path in modules:
        spellings = text_spellings(path) if component.startswith("text_encoder") else (path,)
        yield from ((name, (path,)) for name in spellings)
