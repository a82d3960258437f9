"""Which weights of adapters a worker reads, copies and frees, and for which rows."""

from collections.abc import Mapping, Sequence

from safelight.adapters.capacity import AdapterCapacity
from safelight.adapters.moves import EvictFromDevice, EvictFromHost, LoadToDevice, LoadToHost, Move
from safelight.adapters.registry import Registered
from safelight.adapters.residency import Residency
from safelight.control.replica.effects import CopyAdapter, Effect, Emit, EvictAdapter, ForgetAdapter, ReadAdapter
from safelight.control.replica.events import AdapterCopied, AdapterNotCopied, AdapterNotRead, AdapterRead
from safelight.core.adapter import AdapterHandle
from safelight.core.errors import RequestError
from safelight.core.work import (
    AdapterAdded,
    AdapterEvicted,
    AdapterLoaded,
    AdapterRefused,
    AddAdapter,
    Place,
    Prefetch,
    RemoveAdapter,
)


class AdapterLoads:
    """Brings the adapters of rows to the device, by the moves of a residency.

    A new adapter is read once to check that it can be used, and again when a row needs it. A row may name an adapter
    that is still being read for the first time. Any call may produce losses: rows that can never get their adapters.
    The caller releases the row of `loss` until there is none.
    """

    def __init__(self, capacity: AdapterCapacity, *, read_again_s: float) -> None:
        self._capacity = capacity
        self._read_again_s = read_again_s
        self._residency = Residency(capacity)
        self._paths: dict[AdapterHandle, str] = {}
        self._inspected: set[AdapterHandle] = set()
        self._known: dict[AdapterHandle, Registered] = {}
        self._catalog: Mapping[AdapterHandle, Registered] = {}
        self._wanted: dict[str, Sequence[AdapterHandle]] = {}
        self._expected: Sequence[AdapterHandle] = ()
        self._kept: Sequence[AdapterHandle] = ()
        self._placed: set[str] = set()
        self._lost: dict[str, str] = {}
        self._loads = _LoadTimes()

    @property
    def loss(self) -> tuple[str, str] | None:
        """A row that can never get its adapters, with a reason fit for users, until it is released; or None."""
        return next(iter(self._lost.items()), None)

    def know(self, adapters: Mapping[AdapterHandle, Registered]) -> None:
        """Take adapters as read and accepted; the mapping is kept, and may be shared by replicas."""
        self._catalog = adapters

    def is_ready(self, row: str) -> bool:
        """Whether all that the row needs is on the device."""
        return row in self._placed and self._residency.is_ready(row)

    def has_controlnets(self, row: str) -> bool:
        """Whether all ControlNets that the row needs are on the device."""
        return row in self._placed and self._residency.has_controlnets(row)

    def obey(self, command: AddAdapter | RemoveAdapter | Prefetch | Place, now: float) -> list[Effect]:
        """Return what follows from a command."""
        match command:
            case AddAdapter():
                return self._add(command)
            case RemoveAdapter(handle=handle):
                return self._remove(handle, now)
            case Prefetch(handles=handles):
                return self._expect(handles, now)
            case Place(handles=handles):
                return self._keep(handles, now)

    def noted(
        self, result: AdapterRead | AdapterNotRead | AdapterCopied | AdapterNotCopied, now: float
    ) -> list[Effect]:
        """Return what follows from the end of a read or a copy."""
        match result:
            case AdapterRead():
                return self._read(result, now)
            case AdapterNotRead():
                return self._not_read(result, now)
            case AdapterCopied(handle=handle):
                return self._copied(handle, now)
            case AdapterNotCopied(handle=handle, reason=reason):
                return self._fail(handle, f"cannot be brought to the device: {reason}", now)

    def hold(self, row: str, handles: Sequence[AdapterHandle], now: float) -> list[Effect]:
        """Bring the adapters of a row to the device, and keep them there until `release`."""
        self._wanted[row] = handles
        missing = next((each for each in handles if each not in self._paths and each not in self._catalog), None)
        if missing is not None:
            self._lost[row] = f"The worker has no adapter {missing.name!r}."
            return []
        return self._place(row, now)

    def release(self, row: str, now: float) -> list[Effect]:
        """Release a row; a row that holds nothing is ignored."""
        self._wanted.pop(row, None)
        self._lost.pop(row, None)
        if row not in self._placed:
            return []
        self._placed.remove(row)
        return self._effects(self._residency.release(row, now), now)

    def bring_again(self, handle: AdapterHandle, now: float) -> list[Effect]:
        """Drop weights that have become unusable, and read them again for the rows that hold them."""
        return self._effects(self._residency.lost(handle), now)

    def _add(self, command: AddAdapter) -> list[Effect]:
        is_under_way = command.handle in self._paths or command.handle in self._inspected
        self._paths[command.handle] = command.path
        return [] if is_under_way else self._inspect(command.handle)

    def _remove(self, handle: AdapterHandle, now: float) -> list[Effect]:
        if self._paths.pop(handle, None) is None:
            return []
        self._lose_early(handle, "was removed.")
        is_known = self._known.pop(handle, None) is not None
        return self._effects(self._residency.forget(handle), now) if is_known else []

    def _expect(self, handles: Sequence[AdapterHandle], now: float) -> list[Effect]:
        self._expected = handles
        known = [adapter for handle in handles if (adapter := self._adapter(handle)) is not None]
        return self._effects(self._residency.expect(known, now), now)

    def _keep(self, handles: Sequence[AdapterHandle], now: float) -> list[Effect]:
        self._kept = handles
        known = [adapter for handle in handles if (adapter := self._adapter(handle)) is not None]
        return self._effects(self._residency.place(known, now), now)

    def _read(self, event: AdapterRead, now: float) -> list[Effect]:
        handle = event.handle
        if handle in self._inspected:
            self._inspected.remove(handle)
            return [ForgetAdapter(handle=handle), *self._introduce(event, now)]
        known = self._adapter(handle)
        if known is not None and event.spec != known.spec:
            reason = "Its file has changed since it was added; remove it, and add it again."
            return [ForgetAdapter(handle=handle), *self._missed(handle, reason, now)]
        self._loads.read(handle, now)
        return self._effects(self._residency.loaded(handle), now)

    def _not_read(self, event: AdapterNotRead, now: float) -> list[Effect]:
        handle = event.handle
        if handle not in self._inspected:
            return self._missed(handle, event.reason, now)
        self._inspected.remove(handle)
        if handle not in self._paths:
            return []
        if not event.is_service_lost:
            return self._refuse(handle, event.reason)
        # Waiting rows fail, but the adapter stays: nothing is known about it yet.
        self._lose_early(handle, f"cannot be read: {event.reason}")
        return self._inspect(handle, after_s=self._read_again_s)

    def _copied(self, handle: AdapterHandle, now: float) -> list[Effect]:
        loaded = Emit(event=AdapterLoaded(handle=handle, seconds=self._loads.copied(handle, now)))
        return [loaded, *self._effects(self._residency.loaded(handle), now)]

    def _inspect(self, handle: AdapterHandle, *, after_s: float = 0.0) -> list[Effect]:
        self._inspected.add(handle)
        return [ReadAdapter(handle=handle, path=self._paths[handle], after_s=after_s)]

    def _introduce(self, event: AdapterRead, now: float) -> list[Effect]:
        handle, spec = event.handle, event.spec
        if handle not in self._paths:
            return []
        try:
            self._capacity.check([spec])
        except RequestError as error:
            return self._refuse(handle, str(error))
        self._known[handle] = Registered(spec=spec, handle=handle)
        effects: list[Effect] = [Emit(event=AdapterAdded(handle=handle, spec=spec))]
        for row in self._early(handle):
            effects += self._place(row, now)
        if handle in self._expected:
            effects += self._expect(self._expected, now)
        if handle in self._kept:
            effects += self._keep(self._kept, now)
        return effects

    def _place(self, row: str, now: float) -> list[Effect]:
        """Queue for the device once all adapters of the row are known."""
        adapters = [adapter for handle in self._wanted[row] if (adapter := self._adapter(handle)) is not None]
        if len(adapters) < len(self._wanted[row]):
            return []
        try:
            moves = self._residency.hold(row, adapters, now)
        except RequestError as error:
            self._lost[row] = str(error)
            return []
        self._placed.add(row)
        return self._effects(moves, now)

    def _refuse(self, handle: AdapterHandle, reason: str) -> list[Effect]:
        del self._paths[handle]
        self._lose_early(handle, f"cannot be used: {reason}")
        return [Emit(event=AdapterRefused(handle=handle, message=reason))]

    def _lose_early(self, handle: AdapterHandle, reason: str) -> None:
        for row in self._early(handle):
            self._lost[row] = f"The adapter {handle.name!r} {reason}"

    def _early(self, handle: AdapterHandle) -> list[str]:
        """Return the rows that wait for this adapter's first read."""
        return [row for row, handles in self._wanted.items() if handle in handles and row not in self._placed]

    def _adapter(self, handle: AdapterHandle) -> Registered | None:
        return self._known.get(handle) or self._catalog.get(handle)

    def _missed(self, handle: AdapterHandle, reason: str, now: float) -> list[Effect]:
        return self._fail(handle, f"cannot be read: {reason}", now)

    def _fail(self, handle: AdapterHandle, reason: str, now: float) -> list[Effect]:
        losers = self._residency.holders(handle)
        self._lost |= dict.fromkeys(losers, f"The adapter {handle.name!r} {reason}")
        return self._effects(self._residency.failed(handle), now)

    def _effects(self, moves: Sequence[Move], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for move in moves:
            handle = move.handle
            match move:
                case LoadToHost():
                    self._loads.asked(handle, now)
                    effects.append(ReadAdapter(handle=handle, path=self._paths.get(handle, "")))
                case LoadToDevice():
                    self._loads.copying(handle, now)
                    effects.append(CopyAdapter(handle=handle))
                case EvictFromDevice():
                    effects += [EvictAdapter(handle=handle), Emit(event=AdapterEvicted(handle=handle))]
                case EvictFromHost():
                    self._loads.left_host(handle)
                    effects.append(ForgetAdapter(handle=handle))
        return effects


class _LoadTimes:
    """Measures loads: from the request of a read to its end, plus from the request of a copy to its end.

    Weights that are copied again from host memory count with their last read.
    """

    def __init__(self) -> None:
        self._since_s: dict[AdapterHandle, float] = {}
        self._reading_s: dict[AdapterHandle, float] = {}

    def asked(self, handle: AdapterHandle, now: float) -> None:
        self._since_s[handle] = now

    def read(self, handle: AdapterHandle, now: float) -> None:
        self._reading_s[handle] = now - self._since_s.pop(handle)

    def copying(self, handle: AdapterHandle, now: float) -> None:
        self._since_s[handle] = now

    def copied(self, handle: AdapterHandle, now: float) -> float:
        return self._reading_s[handle] + now - self._since_s.pop(handle)

    def left_host(self, handle: AdapterHandle) -> None:
        self._reading_s.pop(handle, None)
        self._since_s.pop(handle, None)
