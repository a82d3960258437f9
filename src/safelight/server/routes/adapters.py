"""`/v1/adapters`: lists, adds and removes the adapters that requests may name."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter, Request

from safelight.access.caller import Caller
from safelight.adapters.registry import Registered
from safelight.core.errors import SafelightError, UnknownAdapter
from safelight.local.adapter_folder import find_adapters
from safelight.server.audit import audit
from safelight.server.callers import actor_of, caller_of
from safelight.server.errors import problem_of, still_reading
from safelight.server.routes.openapi_responses import errors
from safelight.server.state import ServerState, TheState
from safelight.server.wire.adapters import AdapterCard, AdapterList, AdapterRemoval, AdapterRequest

router = APIRouter(tags=["adapters"])

READ_WITHIN_S = 60.0
"""How long a worker may take to read an adapter."""


@router.get("/v1/adapters", responses=errors(), operation_id="list_adapters")
async def list_adapters(request: Request, state: TheState) -> AdapterList:
    """Return the adapters that requests may name."""
    caller = caller_of(request.scope)
    return AdapterList(data=[_card(state, adapter, caller) for adapter in state.service.controller.adapters])


@router.get("/v1/adapters/{name}", responses=errors(404), operation_id="get_adapter")
async def get_adapter(name: str, request: Request, state: TheState) -> AdapterCard:
    """Return one adapter."""
    return _card(state, _find(state, name), caller_of(request.scope))


@router.post("/v1/adapters", responses=errors(400, 404, 409, 503), operation_id="add_adapter")
async def add_adapter(body: AdapterRequest, request: Request, state: TheState) -> AdapterCard:
    """Let requests name an adapter that lies in one of the server's folders."""
    with _audited("add_adapter", body.name, request, state):
        await _add(body.name, state)
    return _card(state, _find(state, body.name), caller_of(request.scope))


@router.delete("/v1/adapters/{name}", responses=errors(404), operation_id="remove_adapter")
async def remove_adapter(name: str, request: Request, state: TheState) -> AdapterRemoval:
    """Let no further request name an adapter; its files stay where they are."""
    with _audited("remove_adapter", name, request, state):
        state.service.remove_adapter(name)
    return AdapterRemoval(id=name)


async def _add(name: str, state: ServerState) -> None:
    """Have the workers read an adapter; raises SafelightError."""
    state.service.check_ready()
    found = find_adapters(state.settings.adapters)
    if name not in found:
        raise UnknownAdapter(name, sorted(found), param="name")
    verdict = state.service.offer_adapter(name, found[name])
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            await asyncio.shield(verdict)
    except TimeoutError:
        raise still_reading(name, READ_WITHIN_S) from None


@contextmanager
def _audited(action: str, name: str, request: Request, state: ServerState) -> Iterator[None]:
    """Log what becomes of a change of adapters, also of one whose client leaves."""
    result = "interrupted"
    try:
        yield
        result = "done"
    except SafelightError as error:
        result = problem_of(error).code
        raise
    finally:
        audit(state.log, actor_of(request.scope), action, target=name, result=result)


def _find(state: ServerState, name: str) -> Registered:
    registered = {adapter.spec.name: adapter for adapter in state.service.controller.adapters}
    if name not in registered:
        raise UnknownAdapter(name, sorted(registered), param="name")
    return registered[name]


def _card(state: ServerState, adapter: Registered, caller: Caller) -> AdapterCard:
    """Return an adapter as `caller` may see it: with the pictures of its own tenant, or of all for an administrator."""
    spec = adapter.spec
    tenant = None if caller.is_admin else caller.tenant
    return AdapterCard(
        id=spec.name,
        kind=spec.kind,
        model=spec.model,
        ranks=list(spec.ranks),
        parts=list(spec.parts),
        weights_bytes=spec.weights_bytes,
        pictures=state.service.controller.requests_with(adapter.handle, tenant=tenant),
    )
