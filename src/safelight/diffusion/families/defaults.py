"""What a request gets that leaves it unsaid."""

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a silent request gets; each family has its own, and a model folder may state others in `safelight.json`."""

    steps: int
    guidance_scale: float
    sampler: str
