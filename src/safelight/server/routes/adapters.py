"""`/v1/adapters`: lists, adds and removes the adapters that requests may name."""

import asyncio

from fastapi import APIRouter

from safelight.adapters.registry import Registered
from safelight.core.errors import UnknownAdapter
from safelight.local.adapter_folder import find_adapters
from safelight.server.errors import still_reading
from safelight.server.routes.openapi_responses import errors
from safelight.server.state import ServerState, TheState
from safelight.server.wire.adapters import AdapterCard, AdapterList, AdapterRemoval, AdapterRequest

router = APIRouter(tags=["adapters"])

READ_WITHIN_S = 60.0
"""How long a worker may take to read an adapter."""


@router.get("/v1/adapters", responses=errors(), operation_id="list_adapters")
async def list_adapters(state: TheState) -> AdapterList:
    """Return the adapters that requests may name."""
    return AdapterList(data=[_card(state, adapter) for adapter in state.service.controller.adapters])


@router.get("/v1/adapters/{name}", responses=errors(404), operation_id="get_adapter")
async def get_adapter(name: str, state: TheState) -> AdapterCard:
    """Return one adapter."""
    return _card(state, _find(state, name))


@router.post("/v1/adapters", responses=errors(400, 404, 409, 503), operation_id="add_adapter")
async def add_adapter(body: AdapterRequest, state: TheState) -> AdapterCard:
    """Let requests name an adapter that lies in one of the server's folders."""
    state.service.check_ready()
    found = find_adapters(state.settings.adapters)
    if body.name not in found:
        raise UnknownAdapter(body.name, sorted(found), param="name")
    verdict = state.service.offer_adapter(body.name, found[body.name])
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            await asyncio.shield(verdict)
    except TimeoutError:
        raise still_reading(body.name, READ_WITHIN_S) from None
    return _card(state, _find(state, body.name))


@router.delete("/v1/adapters/{name}", responses=errors(404), operation_id="remove_adapter")
async def remove_adapter(name: str, state: TheState) -> AdapterRemoval:
    """Let no further request name an adapter; its files stay where they are."""
    state.service.remove_adapter(name)
    return AdapterRemoval(id=name)


def _find(state: ServerState, name: str) -> Registered:
    registered = {adapter.spec.name: adapter for adapter in state.service.controller.adapters}
    if name not in registered:
        raise UnknownAdapter(name, sorted(registered), param="name")
    return registered[name]


def _card(state: ServerState, adapter: Registered) -> AdapterCard:
    spec = adapter.spec
    return AdapterCard(
        id=spec.name,
        kind=spec.kind,
        model=spec.model,
        ranks=list(spec.ranks),
        parts=list(spec.parts),
        weights_bytes=spec.weights_bytes,
        pictures=state.service.controller.requests_with(adapter.handle),
    )
