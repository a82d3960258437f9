"""How much is kept for reuse, for how long, and how often it is used."""

from dataclasses import dataclass
from typing import Final

TTL_S: Final = 24 * 3600.0
MAX_USES: Final = 20
HALF_LIFE_S: Final = 3600.0
CAPTURES: Final = (0.98, 0.95, 0.9, 0.8, 0.65, 0.45)


@dataclass(frozen=True, kw_only=True)
class ReuseLimits:
    """Bounds on what is kept for reuse.

    Attributes:
        max_bytes: of all entries. Each of at most `tenants` tenants gets an equal part, which no other tenant's entries
            take; tenants beyond that number get none.
        ttl_s: an entry older than this serves nothing.
        max_uses: how many pictures may start from one entry, or take its free seed, so that no layout is everywhere.
        half_life_s: after which a use of an entry counts half for keeping it.
        captures: noise levels at which estimates are captured.
    """

    max_bytes: int = 1 << 30
    tenants: int = 1
    ttl_s: float = TTL_S
    max_uses: int = MAX_USES
    half_life_s: float = HALF_LIFE_S
    captures: tuple[float, ...] = CAPTURES

    @property
    def bytes_per_tenant(self) -> int:
        return self.max_bytes // self.tenants
