"""All families: those of this package, and those that installed packages add."""

from functools import cache
from pathlib import Path

from safelight.core.entry_points import with_installed
from safelight.core.errors import ModelFolderError
from safelight.diffusion.families.family import FamilyDefinition
from safelight.diffusion.families.flux import FLUX
from safelight.diffusion.families.stable_diffusion import STABLE_DIFFUSION
from safelight.diffusion.families.stable_diffusion_3 import STABLE_DIFFUSION_3
from safelight.diffusion.families.stable_diffusion_xl import STABLE_DIFFUSION_XL
from safelight.diffusion.folder import INDEX, read_index

FAMILIES = (STABLE_DIFFUSION, STABLE_DIFFUSION_XL, STABLE_DIFFUSION_3, FLUX)
"""Our own families; a new one is a module beside theirs and an entry here."""

ENTRY_POINTS = "safelight.families"


@cache
def installed_families() -> tuple[FamilyDefinition, ...]:
    """Return our own families and the installed ones; raises ExtensionError."""
    return with_installed(ENTRY_POINTS, FAMILIES)


def family_of(folder: Path) -> FamilyDefinition:
    """Return the family of the model in a diffusers folder, by the pipeline that its index names.

    Raises:
        ModelFolderError: if there is no index, or no family has that pipeline.
    """
    pipeline = read_index(folder, allowed={}).get("_class_name")
    for family in installed_families():
        if family.pipeline == pipeline:
            return family
    known = ", ".join(family.pipeline for family in installed_families())
    raise ModelFolderError(f"{str(folder / INDEX)!r} is of class {pipeline!r}; Safelight serves {known}.")
