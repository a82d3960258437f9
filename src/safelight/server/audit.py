"""The audit: one log line for each cancellation, each change of adapters, and each request that a role forbids."""

from safelight.core.log import Log
from safelight.server.callers import Actor


def audit(log: Log, actor: Actor, action: str, *, target: str, result: str, **facts: object) -> None:
    """Log that `actor` tried `action` on `target`, and what came of it."""
    log.info(
        "audit",
        action=action,
        target=target,
        result=result,
        tenant=actor.caller.tenant or None,
        role=actor.caller.role,
        key=actor.caller.key or None,
        peer=actor.peer,
        request_id=actor.request_id,
        **facts,
    )
