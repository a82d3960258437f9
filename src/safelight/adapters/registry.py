"""The adapters that requests may name, and the removed ones that rows still use."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from safelight.core.adapter import AdapterHandle, AdapterKind, AdapterSpec
from safelight.core.errors import AdapterExists, AdapterMisfit, InvalidParameter, TooManyAdapters, UnknownAdapter

MAX_PER_PICTURE: Final = 8

NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
NAME_RULE: Final = "it must be up to 64 letters, digits, '.', '_' and '-', and not begin with a dot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """An adapter and the handle of its exact weights, which is unique in this registry."""

    spec: AdapterSpec
    handle: AdapterHandle


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lease:
    """The adapters that one row is bound to, each once, in the order of their names."""

    adapters: tuple[Registered, ...]

    @property
    def handles(self) -> tuple[AdapterHandle, ...]:
        return tuple(adapter.handle for adapter in self.adapters)

    def handle(self, name: str) -> AdapterHandle:
        """Return the handle of the weights that `name` meant when the row was admitted."""
        return next(handle for handle in self.handles if handle.name == name)


class AdapterRegistry:
    """Adapters by name.

    New rows cannot find a removed adapter, but its weights stay until the last row that is bound to it leaves. `remove`
    and `release` return the adapters whose weights are no longer needed, each of them once.
    """

    def __init__(self, *, max_per_picture: int = MAX_PER_PICTURE) -> None:
        self._max_per_picture = max_per_picture
        self._by_name: dict[str, Registered] = {}
        self._draining: dict[AdapterHandle, Registered] = {}
        self._rows = Counter[AdapterHandle]()
        self._generations = 0

    @property
    def registered(self) -> tuple[Registered, ...]:
        """Those that requests may name, by name."""
        return tuple(self._by_name[name] for name in sorted(self._by_name))

    @property
    def draining(self) -> tuple[Registered, ...]:
        """Those that were removed but that rows still use, in the order of removal."""
        return tuple(self._draining.values())

    def rows(self, handle: AdapterHandle) -> int:
        """Return how many rows are bound to these weights."""
        return self._rows[handle]

    def next_handle(self, name: str) -> AdapterHandle:
        """Return a handle for an adapter that is about to be registered."""
        self._generations += 1
        return AdapterHandle(name=name, generation=self._generations)

    def add(self, spec: AdapterSpec, *, handle: AdapterHandle | None = None) -> Registered:
        """Register an adapter, under the next handle unless `handle` is given.

        Raises:
            InvalidParameter: if the name is not allowed.
            AdapterExists: if the name is taken.
        """
        if not NAME.fullmatch(spec.name):
            raise InvalidParameter("name", spec.name, NAME_RULE)
        if spec.name in self._by_name:
            raise AdapterExists(spec.name)
        handle = self.next_handle(spec.name) if handle is None else handle
        adapter = self._by_name[spec.name] = Registered(spec=spec, handle=handle)
        return adapter

    def find(self, name: str, *, kind: AdapterKind, model: str, param: str = "loras") -> Registered:
        """Return the adapter that `name` means now.

        Raises:
            UnknownAdapter: if there is none.
            AdapterMisfit: if it is of another kind or for another model.
        """
        adapter = self._by_name.get(name)
        if adapter is None:
            raise UnknownAdapter(name, self._fitting(kind, model), param=param)
        spec = adapter.spec
        if (spec.kind, spec.model) != (kind, model):
            made, asked = f"{spec.kind} for {spec.model!r}", f"{kind} with {model!r}"
            raise AdapterMisfit(name, made=made, asked=asked, param=param)
        return adapter

    def acquire(self, names: Sequence[str], *, kind: AdapterKind, model: str, param: str = "loras") -> Lease:
        """Bind one row to the adapters that `names` mean now, all of them or none; names may repeat.

        Raises:
            TooManyAdapters: if there are more names than a picture may have.
            UnknownAdapter, AdapterMisfit: as `find`.
        """
        if len(names) > self._max_per_picture:
            raise TooManyAdapters(len(names), limit=self._max_per_picture, param=param)
        found = tuple(self.find(name, kind=kind, model=model, param=param) for name in sorted(set(names)))
        for adapter in found:
            self._rows[adapter.handle] += 1
        return Lease(adapters=found)

    def release(self, lease: Lease) -> tuple[Registered, ...]:
        """End `lease`, once; returns the adapters whose weights are no longer needed."""
        rows = self._rows
        for handle in lease.handles:
            left = rows[handle] - 1
            assert left >= 0, "a lease is released once"
            if left:
                rows[handle] = left
            else:
                del rows[handle]
        return self._drained(lease.adapters)

    def remove(self, name: str) -> tuple[Registered, ...]:
        """Hide the adapter from new rows; returns it if its weights are no longer needed.

        Raises:
            UnknownAdapter: if there is none.
        """
        adapter = self._by_name.pop(name, None)
        if adapter is None:
            raise UnknownAdapter(name, sorted(self._by_name), param="name")
        self._draining[adapter.handle] = adapter
        return self._drained((adapter,))

    def _drained(self, adapters: Sequence[Registered]) -> tuple[Registered, ...]:
        free = [a.handle for a in adapters if a.handle in self._draining and not self._rows[a.handle]]
        return tuple(self._draining.pop(handle) for handle in free)

    def _fitting(self, kind: AdapterKind, model: str) -> list[str]:
        return [a.spec.name for a in self.registered if (a.spec.kind, a.spec.model) == (kind, model)]
