"""The adapters that requests may name: offered to workers, bound to requests, kept until the last request ends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

from safelight.adapters.registry import NAME, NAME_RULE, AdapterRegistry, Lease, Registered
from safelight.control.events import AdapterOffered
from safelight.core.adapter import AdapterHandle, AdapterKind, AdapterSpec
from safelight.core.errors import AdapterExists, InvalidParameter, RequestError
from safelight.core.level import Route
from safelight.core.request import ImageRequest
from safelight.core.work import AdapterAdded, AddAdapter, RemoveAdapter

PARAMS: Final[Mapping[AdapterKind, str]] = {"lora": "loras", "controlnet": "controls"}


@dataclass(frozen=True, kw_only=True)
class _Offer:
    id: str
    command: AddAdapter
    is_initial: bool


class AdapterDirectory:
    """Owns the registry; an adapter is registered once a worker has read and accepted it."""

    def __init__(self) -> None:
        self._registry = AdapterRegistry()
        self._offers: dict[AdapterHandle, _Offer] = {}
        self._commands: dict[AdapterHandle, AddAdapter] = {}
        self._leases: dict[str, list[Lease]] = {}
        self._weights_bytes: dict[AdapterHandle, int] = {}

    @property
    def are_awaited(self) -> bool:
        """Whether initial adapters are still being read."""
        return any(offer.is_initial for offer in self._offers.values())

    @property
    def registered(self) -> tuple[Registered, ...]:
        """Those that requests may name, by name."""
        return self._registry.registered

    @property
    def commands(self) -> tuple[AddAdapter, ...]:
        """The commands for a worker that joins."""
        return tuple(self._commands.values())

    def know(self, specs: Iterable[AdapterSpec]) -> tuple[Registered, ...]:
        """Register adapters that every worker knows from its start; no worker is told about them.

        Raises:
            InvalidParameter, AdapterExists: as `AdapterRegistry.add`.
        """
        known = tuple(self._registry.add(spec) for spec in specs)
        self._weights_bytes |= {adapter.handle: adapter.spec.weights_bytes for adapter in known}
        return known

    def requests_with(self, handle: AdapterHandle) -> int:
        """Return how many accepted requests use it."""
        return self._registry.rows(handle)

    def weights_bytes(self, handle: AdapterHandle) -> int:
        """Return the bytes of an adapter; 0 for one that is not known."""
        return self._weights_bytes.get(handle, 0)

    def offer(self, offered: AdapterOffered) -> AddAdapter:
        """Return the command for all workers.

        Raises:
            InvalidParameter: if the name is not allowed.
            AdapterExists: if the name is taken or being offered.
        """
        name = offered.name
        if not NAME.fullmatch(name):
            raise InvalidParameter("name", name, NAME_RULE)
        taken = {adapter.spec.name for adapter in self.registered} | {handle.name for handle in self._offers}
        if name in taken:
            raise AdapterExists(name)
        handle = self._registry.next_handle(name)
        command = self._commands[handle] = AddAdapter(handle=handle, path=offered.path)
        self._offers[handle] = _Offer(id=offered.offer, command=command, is_initial=offered.is_initial)
        return command

    def added(self, report: AdapterAdded) -> str | None:
        """Register an adapter that a worker has read; returns the answered offer, if this is the first answer."""
        offer = self._offers.pop(report.handle, None)
        if offer is None:
            return None
        self._registry.add(report.spec, handle=report.handle)
        self._weights_bytes[report.handle] = report.spec.weights_bytes
        return offer.id

    def refused(self, handle: AdapterHandle) -> tuple[str, RemoveAdapter] | None:
        """Forget an adapter that a worker refused; returns the answered offer, and the command for all workers."""
        offer = self._offers.pop(handle, None)
        return None if offer is None else (offer.id, self._forget(handle))

    def remove(self, name: str) -> tuple[AdapterSpec, list[RemoveAdapter]]:
        """Hide the adapter from new requests; returns its spec, and the commands for all workers.

        Its weights stay until no request uses them.

        Raises:
            UnknownAdapter: if there is none.
        """
        spec = next((adapter.spec for adapter in self.registered if adapter.spec.name == name), None)
        unused = self._registry.remove(name)
        assert spec is not None
        return spec, self._forget_all(unused)

    def are_of(self, names: Iterable[str], model: str) -> bool:
        """Return whether all of these adapters are for `model`."""
        own = {adapter.spec.name for adapter in self.registered if adapter.spec.model == model}
        return own.issuperset(names)

    def bind(self, request: ImageRequest, route: Route) -> Mapping[AdapterHandle, int]:
        """Return the handles that the names in `request` mean now, with their bytes; the weights stay until `release`.

        Raises:
            TooManyAdapters, UnknownAdapter, AdapterMisfit: if some level of the route cannot have them.
        """
        if not request.loras and not request.controlnets:
            return {}
        wanted: tuple[tuple[AdapterKind, list[str]], ...] = (
            ("lora", [use.name for use in request.loras]),
            ("controlnet", [use.name for use in request.controlnets]),
        )
        first, *others = (level.model for level in route.levels)
        leases = self._leases[request.id] = []
        try:
            for kind, names in wanted:
                leases.append(self._registry.acquire(names, kind=kind, model=first, param=PARAMS[kind]))
                for name, model in product(names, others):
                    self._registry.find(name, kind=kind, model=model, param=PARAMS[kind])
        except RequestError:
            self.release(request.id)
            raise
        return {adapter.handle: adapter.spec.weights_bytes for lease in leases for adapter in lease.adapters}

    def release(self, request_id: str) -> list[RemoveAdapter]:
        """Unbind a request that has ended or was refused; returns the commands for all workers."""
        leases = self._leases.pop(request_id, ())
        return self._forget_all(adapter for lease in leases for adapter in self._registry.release(lease))

    def _forget_all(self, adapters: Iterable[Registered]) -> list[RemoveAdapter]:
        return [self._forget(adapter.handle) for adapter in adapters]

    def _forget(self, handle: AdapterHandle) -> RemoveAdapter:
        self._commands.pop(handle, None)
        self._weights_bytes.pop(handle, None)
        return RemoveAdapter(handle=handle)
