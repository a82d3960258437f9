"""The adapters that requests may name: offered to the workers, bound to requests, kept until the last one ends."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from safelight.adapters.registry import (
    NAME,
    NAME_RULE,
    AdapterRegistry,
    Lease,
    Registered,
    generation_of,
    handle_of,
)
from safelight.core.adapter import AdapterKind, AdapterSpec
from safelight.core.errors import AdapterExists, AdapterFileError, InvalidParameter, RequestError
from safelight.core.request import ImageRequest
from safelight.core.work import AdapterAdded, AdapterRefused, AddAdapter, RemoveAdapter
from safelight.server.logs import Log

Tell = Callable[[AddAdapter | RemoveAdapter], None]
"""Sends a command to every worker that is ready."""


@dataclass(frozen=True, kw_only=True)
class _Offer:
    command: AddAdapter
    verdict: asyncio.Future[AdapterSpec]


class Adapters:
    """Owns the registry; an adapter is registered once a worker has read it and found it good."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._registry = AdapterRegistry()
        self._offers: dict[str, _Offer] = {}
        self._commands: dict[str, AddAdapter] = {}
        self._leases: dict[str, dict[AdapterKind, Lease]] = {}
        self._awaited: list[asyncio.Future[AdapterSpec]] = []

    @property
    def are_awaited(self) -> bool:
        """Whether the adapters that the server starts with are still being read."""
        return not all(verdict.done() for verdict in self._awaited)

    def begin_with(self, paths: Mapping[str, Path], log: Log) -> None:
        """Offer the adapters that the server starts with; those that cannot be used are told to the log."""
        for name, path in paths.items():
            try:
                verdict = self.offer(name, path)
            except RequestError as error:
                log.warning("adapter refused", adapter=name, reason=str(error))
            else:
                self._awaited.append(verdict)
                verdict.add_done_callback(partial(_report, name, log))

    @property
    def registered(self) -> tuple[Registered, ...]:
        """Those that requests may name, by name."""
        return self._registry.registered

    def names(self, kind: AdapterKind) -> tuple[str, ...]:
        """Return the names of one kind that requests may use."""
        return tuple(adapter.spec.name for adapter in self.registered if adapter.spec.kind == kind)

    @property
    def commands(self) -> tuple[AddAdapter, ...]:
        """What a worker that joins must be told."""
        return tuple(self._commands.values())

    def rows(self, adapter: Registered) -> int:
        """Return how many pictures on their way use it."""
        return self._registry.rows(adapter.handle)

    def offer(self, name: str, path: Path) -> asyncio.Future[AdapterSpec]:
        """Have the workers read an adapter; the future has what they find, or AdapterFileError.

        Raises:
            InvalidParameter: if it cannot be called so.
            AdapterExists: if one is called so, or about to be.
        """
        if not NAME.fullmatch(name):
            raise InvalidParameter("name", name, NAME_RULE)
        taken = {adapter.spec.name for adapter in self.registered}
        if name in taken | {offer.command.name for offer in self._offers.values()}:
            raise AdapterExists(name)
        handle = handle_of(name, self._registry.next_generation())
        command = AddAdapter(handle=handle, name=name, path=str(path))
        offer = _Offer(command=command, verdict=asyncio.get_running_loop().create_future())
        self._offers[command.handle] = offer
        self._commands[command.handle] = command
        self._tell(command)
        return offer.verdict

    def heard(self, report: AdapterAdded | AdapterRefused) -> None:
        """A worker has read an adapter; the first verdict counts."""
        offer = self._offers.pop(report.handle, None)
        if offer is None:
            return
        if isinstance(report, AdapterAdded):
            self._registry.add(report.spec, generation=generation_of(report.handle))
            _settle(offer.verdict, report.spec)
        else:
            self._withdraw(report.handle)
            _settle(offer.verdict, AdapterFileError(report.message))

    def remove(self, name: str) -> None:
        """Let no new request find the adapter; its weights go when the last picture that uses it has ended.

        Raises:
            UnknownAdapter: if there is none.
        """
        self._let_go(self._registry.remove(name))

    def bind(self, request: ImageRequest) -> ImageRequest:
        """Return the request with handles in the place of names, until `release`.

        Raises:
            TooManyAdapters, UnknownAdapter, AdapterMisfit: if it cannot have the adapters that it names.
        """
        wanted: tuple[tuple[AdapterKind, str, list[str]], ...] = (
            ("lora", "loras", [use.name for use in request.loras]),
            ("controlnet", "controls", [use.name for use in request.controls]),
        )
        leases = self._leases[request.id] = {}
        try:
            for kind, param, names in wanted:
                leases[kind] = self._registry.acquire(names, kind=kind, model=request.model, param=param)
        except RequestError:
            self.release(request.id)
            raise
        return msgspec.structs.replace(
            request,
            loras=leases["lora"].bind(request.composition).uses,
            controls=tuple(
                msgspec.structs.replace(use, name=leases["controlnet"].handle(use.name)) for use in request.controls
            ),
        )

    def release(self, request_id: str) -> None:
        """The request has ended, or was not taken."""
        for lease in self._leases.pop(request_id, {}).values():
            self._let_go(self._registry.release(lease))

    def _let_go(self, adapters: Sequence[Registered]) -> None:
        for adapter in adapters:
            self._withdraw(adapter.handle)

    def _withdraw(self, handle: str) -> None:
        del self._commands[handle]
        self._tell(RemoveAdapter(handle=handle))


def _report(name: str, log: Log, verdict: asyncio.Future[AdapterSpec]) -> None:
    if verdict.cancelled():
        return
    if (error := verdict.exception()) is not None:
        log.warning("adapter refused", adapter=name, reason=str(error))
    else:
        log.info("adapter ready", adapter=name, model=verdict.result().model)


def _settle(verdict: asyncio.Future[AdapterSpec], found: AdapterSpec | AdapterFileError) -> None:
    if verdict.done():
        return
    if isinstance(found, AdapterFileError):
        verdict.set_exception(found)
    else:
        verdict.set_result(found)
