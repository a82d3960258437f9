"""Who sends a request, and what that allows."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

Role = Literal["user", "admin", "metrics"]
"""`user`: its tenant's own pictures. `admin`: everything. `metrics`: metrics and readiness only."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The sender of a request.

    Attributes:
        tenant: on whose behalf; empty without a keys file.
        role: what it may do.
        key: a short public name of its key, for logs; empty without a key.
    """

    tenant: str
    role: Role
    key: str

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    def owns(self, tenant: str) -> bool:
        """Whether it may see and cancel what belongs to `tenant`."""
        return self.is_admin or self.tenant == tenant


ANONYMOUS: Final = Caller(tenant="", role="admin", key="")
"""Everyone, on a server that has no keys."""
