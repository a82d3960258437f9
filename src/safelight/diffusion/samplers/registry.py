"""All samplers: those of this package, and those that installed packages add."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from safelight.core.entry_points import with_installed
from safelight.diffusion.samplers.ddim import DDIM
from safelight.diffusion.samplers.dpm_2m import DPM_2M
from safelight.diffusion.samplers.euler import EULER
from safelight.diffusion.samplers.sampler import Sampler

SAMPLERS = (DDIM, EULER, DPM_2M)
"""Our own samplers; a new one is a module beside theirs and an entry here."""

ENTRY_POINTS = "safelight.samplers"


@cache
def samplers_by_name() -> Mapping[str, Sampler]:
    """Return our own samplers and the installed ones; raises ExtensionError."""
    return MappingProxyType({sampler.name: sampler for sampler in with_installed(ENTRY_POINTS, SAMPLERS)})
