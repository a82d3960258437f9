"""Defaults for what a request does not set."""

import msgspec


class GenerationDefaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request gets that does not set these; a model folder may state others in `safelight.json`."""

    steps: int
    guidance_scale: float
    sampler: str
