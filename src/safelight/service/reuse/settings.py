"""How a server reuses earlier pictures."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from safelight.latents.limits import ReuseLimits
from safelight.latents.predictor import FixedThresholds, LevelPredictor
from safelight.service.reuse.disk import READ_WITHIN_S

ReuseMode = Literal["off", "private", "shared"]
"""`private`: each tenant its own pictures. `shared`: requests may also ask for the pictures that tenants share."""

RAM_BYTES: Final = 256 << 20
DISK_BYTES: Final = 4 << 30
TENANTS_WITH_KEYS: Final = 16


@dataclass(frozen=True, kw_only=True)
class ReuseSettings:
    """How a server reuses earlier pictures.

    Attributes:
        ram_bytes: of pictures in memory.
        folder: of pictures on disk; None keeps them in memory only.
        limits: on what is kept in RAM or on disk.
        predictor: chooses how deep a picture may start.
    """

    mode: ReuseMode = "off"
    ram_bytes: int = RAM_BYTES
    folder: Path | None = None
    limits: ReuseLimits = field(default_factory=ReuseLimits)
    predictor: LevelPredictor = field(default_factory=FixedThresholds)
    read_within_s: float = READ_WITHIN_S
