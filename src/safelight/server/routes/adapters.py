"""`/v1/adapters`: lists, adds and removes the adapters that requests may name."""

import asyncio

from fastapi import APIRouter

from safelight.adapters.registry import Registered
from safelight.core.errors import UnknownAdapter
from safelight.server.adapter_folder import find_adapters
from safelight.server.errors import still_reading
from safelight.server.routes.openapi_responses import errors
from safelight.server.service import Service, TheService
from safelight.server.wire.adapters import AdapterCard, AdapterList, AdapterRemoval, AdapterRequest

router = APIRouter(tags=["adapters"])

READ_WITHIN_S = 60.0
"""How long a worker may take to read an adapter."""


@router.get("/v1/adapters", responses=errors(), operation_id="list_adapters")
async def list_adapters(service: TheService) -> AdapterList:
    """Return the adapters that requests may name."""
    return AdapterList(data=[_card(service, adapter) for adapter in service.hub.controller.adapters])


@router.get("/v1/adapters/{name}", responses=errors(404), operation_id="get_adapter")
async def get_adapter(name: str, service: TheService) -> AdapterCard:
    """Return one adapter."""
    return _card(service, _find(service, name))


@router.post("/v1/adapters", responses=errors(400, 404, 409, 503), operation_id="add_adapter")
async def add_adapter(body: AdapterRequest, service: TheService) -> AdapterCard:
    """Add an adapter from one of the server's folders."""
    service.hub.check_ready()
    found = find_adapters(service.settings.adapters)
    if body.name not in found:
        raise UnknownAdapter(body.name, sorted(found), param="name")
    verdict = service.hub.offer_adapter(body.name, found[body.name])
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            await asyncio.shield(verdict)
    except TimeoutError:
        raise still_reading(body.name, READ_WITHIN_S) from None
    return _card(service, _find(service, body.name))


@router.delete("/v1/adapters/{name}", responses=errors(404), operation_id="remove_adapter")
async def remove_adapter(name: str, service: TheService) -> AdapterRemoval:
    """Remove an adapter from those that requests may name; its files stay."""
    service.hub.remove_adapter(name)
    return AdapterRemoval(id=name)


def _find(service: Service, name: str) -> Registered:
    registered = {adapter.spec.name: adapter for adapter in service.hub.controller.adapters}
    if name not in registered:
        raise UnknownAdapter(name, sorted(registered), param="name")
    return registered[name]


def _card(service: Service, adapter: Registered) -> AdapterCard:
    spec = adapter.spec
    return AdapterCard(
        id=spec.name,
        kind=spec.kind,
        model=spec.model,
        ranks=list(spec.ranks),
        parts=list(spec.parts),
        weights_bytes=spec.weights_bytes,
        pictures=service.hub.controller.requests_with(adapter.handle),
    )
