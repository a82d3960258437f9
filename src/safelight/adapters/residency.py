"""Where the weights of adapters are: on disk, in host memory, on the device."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from safelight.adapters.capacity import KINDS, AdapterCapacity, slots_of
from safelight.adapters.moves import EvictFromHost, LoadToDevice, LoadToHost, Move
from safelight.adapters.registry import Registered
from safelight.adapters.weights import AT_REST, IN_BANK, MOVING, UNDER_WAY, Stage, Weights, enough
from safelight.core.adapter import AdapterHandle, AdapterKind

SPARE_ENTRIES: Final = 64

Evictable = Callable[[], Iterable[Weights]]
"""Returns the weights that may leave, the first ones first; it is called only if some have to."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Row:
    weights: Sequence[Weights]
    is_granted: bool
    is_lost: bool = False

    @property
    def is_ready(self) -> bool:
        return self.has(KINDS)

    def has(self, kinds: Collection[AdapterKind]) -> bool:
        wanted = [weights for weights in self.weights if weights.spec.kind in kinds]
        return not wanted or (self.is_granted and all(weights.stage is Stage.ON_DEVICE for weights in wanted))


class Residency:
    """Brings the adapters of rows to the device, within a capacity.

    Rows are granted memory for all of their adapters at once, strictly in the order of `hold`. The first row that does
    not fit beside those before it blocks the later ones, so that no two rows wait for each other and none waits
    forever. Meanwhile the adapters of waiting rows are read into host memory, as far as it has room. A granted row
    keeps its adapters until it is released. Afterwards they stay in place until their memory is needed. Eviction takes
    the least recently used ones first, then expected ones, then placed ones, then those of the rows that will wait
    longest. Expected and placed adapters are read into host memory while no other load is under way. Placed ones go on
    to the device where they fit beside those of all granted rows. Every method returns the moves to execute.
    """

    def __init__(self, capacity: AdapterCapacity) -> None:
        self._capacity = capacity
        self._rows: dict[str, _Row] = {}
        self._weights: dict[AdapterHandle, Weights] = {}
        self._expected: list[Weights] = []
        self._placed: list[Weights] = []
        self._most_known = SPARE_ENTRIES
        self._is_quiet = True

    @property
    def host_bytes(self) -> int:
        """Host memory that is used, or reserved for loads under way."""
        total = 0
        for weights in self._weights.values():
            if weights.stage is not Stage.ABSENT:
                total += weights.spec.weights_bytes
        return total

    def stage(self, handle: AdapterHandle) -> Stage:
        return self._weights[handle].stage if handle in self._weights else Stage.ABSENT

    def is_ready(self, row_id: str) -> bool:
        """Whether all adapters of a held row are on the device, where they stay until it is released."""
        return self._rows[row_id].is_ready

    def has_controlnets(self, row_id: str) -> bool:
        """Whether all ControlNets of a held row are on the device, where they stay until it is released."""
        return self._rows[row_id].has(["controlnet"])

    def holders(self, handle: AdapterHandle) -> tuple[str, ...]:
        """Return the held rows that use an adapter, in the order of `hold`."""
        held = ((row_id, row.weights) for row_id, row in self._rows.items())
        return tuple(row_id for row_id, used in held if any(weights.handle == handle for weights in used))

    def hold(self, row_id: str, adapters: Iterable[Registered], now: float) -> list[Move]:
        """Add a row that uses these adapters.

        Raises:
            AdapterTooLarge, TooManyAdapters: as `AdapterCapacity.check`.
        """
        assert row_id not in self._rows, f"{row_id} is held already"
        wanted = {adapter.handle: adapter for adapter in adapters}
        self._capacity.check([adapter.spec for adapter in wanted.values()])
        row = self._rows[row_id] = _Row(weights=self._weights_of(wanted.values(), now), is_granted=not wanted)
        return self._serve_also(row) if self._is_quiet else self._serve()

    def expect(self, adapters: Iterable[Registered], now: float) -> list[Move]:
        """Replace the expected adapters by these, the soonest needed first."""
        self._expected = self._weights_of(adapters, now)
        return self._serve()

    def place(self, adapters: Iterable[Registered], now: float) -> list[Move]:
        """Replace the placed adapters by these, the most important ones first; others that no row holds are unloaded.

        An unloaded adapter stays in host memory.
        """
        before, self._placed = self._placed, self._weights_of(adapters, now)
        kept = {weights for row in self._rows.values() for weights in row.weights}.union(self._placed)
        moves = [move for weights in before if weights not in kept for move in weights.leave_device()]
        return [*moves, *self._serve()]

    def release(self, row_id: str, now: float) -> list[Move]:
        """Release a held row."""
        for weights in self._rows.pop(row_id).weights:
            weights.used_s = now
        return [] if self._is_quiet else self._serve()

    def loaded(self, handle: AdapterHandle) -> list[Move]:
        """Note that the load under way has succeeded."""
        weights = self._under_way(handle)
        weights.stage = Stage.ON_HOST if weights.stage is Stage.TO_HOST else Stage.ON_DEVICE
        if not self._is_quiet:
            return self._serve()
        needed = self._held()
        return self._bring_quietly([weights] if weights in needed else [], needed)

    def failed(self, handle: AdapterHandle) -> list[Move]:
        """Note that the load under way has failed and left nothing behind.

        All of `holders` never become ready, and the driver releases them. The load is tried again only for rows that
        are held later, or when the adapter is expected again.
        """
        weights = self._under_way(handle)
        moves: list[Move] = [EvictFromHost(handle=weights.handle)] if weights.stage is Stage.TO_DEVICE else []
        weights.stage = Stage.ABSENT
        self._expected = [each for each in self._expected if each is not weights]
        self._placed = [each for each in self._placed if each is not weights]
        for row_id in self.holders(handle):
            row = self._rows[row_id]
            row.is_lost, row.is_granted = True, False
        return moves + self._serve()

    def lost(self, handle: AdapterHandle) -> list[Move]:
        """Note that loaded weights are unusable; they are loaded again for the rows that hold them."""
        weights = self._weights[handle]
        assert weights.stage not in MOVING, f"{handle} is being loaded"
        return [*weights.leave_host(), *self._serve()]

    def forget(self, handle: AdapterHandle) -> list[Move]:
        """Forget an adapter that no row holds or will hold: at once, or when the load under way is over."""
        assert not self.holders(handle), f"{handle} is held"
        if handle in self._weights:
            self._weights[handle].is_leaving = True
            self._expected = [weights for weights in self._expected if not weights.is_leaving]
            self._placed = [weights for weights in self._placed if not weights.is_leaving]
        return self._serve()

    def _weights_of(self, adapters: Iterable[Registered], now: float) -> list[Weights]:
        return [self._weights.setdefault(adapter.handle, Weights(adapter=adapter, used_s=now)) for adapter in adapters]

    def _under_way(self, handle: AdapterHandle) -> Weights:
        weights = self._weights[handle]
        assert weights.stage in MOVING, f"{handle} is not being loaded"
        return weights

    def _held(self) -> dict[Weights, None]:
        """Return the weights of all rows."""
        return dict.fromkeys(weights for row in self._rows.values() for weights in row.weights)

    def _serve_also(self, row: _Row) -> list[Move]:
        """Serve a new row while all others are granted, and nothing of theirs waits for memory."""
        needed = self._held()
        if not self._capacity.holds([weights.spec for weights in needed]):
            return self._serve()
        row.is_granted = True
        self._forget_absent(needed)
        return self._bring_quietly(row.weights, needed)

    def _bring_quietly(self, some: Iterable[Weights], needed: Collection[Weights]) -> list[Move]:
        """Bring some of the needed weights while nobody else waits for memory."""
        moves: list[Move] = []
        for weights in some:
            moves += self._bring(weights, partial(self._spare, needed))
            self._is_quiet = self._is_quiet and weights.stage in UNDER_WAY
        return moves

    def _serve(self) -> list[Move]:
        moves = self._dismiss()
        needed = self._grant()
        waiting = (row for row in self._rows.values() if not row.is_granted and not row.is_lost)
        awaited = dict.fromkeys(weights for row in waiting for weights in row.weights if weights not in needed)
        held = needed | awaited
        placed = dict.fromkeys(weights for weights in self._placed if weights not in held)
        expected = dict.fromkeys(weights for weights in self._expected if weights not in held and weights not in placed)
        wanted = held | placed | expected
        self._forget_absent(wanted)
        for weights in needed:
            moves += self._bring(weights, partial(self._spare, wanted, expected, placed, awaited))
        promised_bytes = _absent_bytes(needed)
        for weights in awaited:
            if weights.is_absent:
                moves += self._load_to_host(weights, partial(self._spare, wanted, expected, placed), promised_bytes)
        fitting = self._fitting(placed, needed)
        beyond = [weights for weights in placed if weights not in fitting]
        for weights in fitting:
            if weights.stage is Stage.ON_HOST:
                moves += self._load_to_device(weights, partial(self._spare, wanted, expected, beyond))
        if (expected or fitting) and all(each.stage is not Stage.TO_HOST for each in self._weights.values()):
            moves += self._read_ahead([*expected, *fitting], partial(self._spare, wanted), _absent_bytes(held))
        self._is_quiet = (
            not (self._expected or self._placed or awaited)
            and all(row.is_granted for row in self._rows.values())
            and all(weights.stage in UNDER_WAY for weights in needed)
            and not any(weights.is_leaving for weights in self._weights.values())
        )
        return moves

    def _spare(self, wanted: Collection[Weights], *wishes: Iterable[Weights]) -> Iterator[Weights]:
        """Yield the weights that nobody wants, least recently used first, and then those of `wishes`, last first."""
        unused = (weights for weights in self._weights.values() if weights not in wanted)
        yield from sorted(unused, key=lambda weights: weights.used_s)
        for wish in wishes:
            yield from reversed(list(wish))

    def _forget_absent(self, wanted: Collection[Weights]) -> None:
        """Forget weights that are nowhere and that nobody wants, when there may be many."""
        if len(self._weights) > self._most_known:
            known = {handle: each for handle, each in self._weights.items() if not each.is_absent or each in wanted}
            self._weights, self._most_known = known, 2 * len(known) + SPARE_ENTRIES

    def _fitting(self, placed: Iterable[Weights], needed: Iterable[Weights]) -> dict[Weights, None]:
        """Return the first placed weights that fit on the device beside those of all granted rows."""
        fitting: dict[Weights, None] = {}
        specs = [weights.spec for weights in needed]
        for weights in placed:
            if self._capacity.holds([*specs, weights.spec]):
                specs.append(weights.spec)
                fitting[weights] = None
        return fitting

    def _read_ahead(self, expected: Iterable[Weights], evictable: Evictable, promised_bytes: int) -> list[Move]:
        """Read the first expected adapter that fits, and only that one, so that a row's load waits for at most one."""
        reads = (self._load_to_host(each, evictable, promised_bytes) for each in expected if each.is_absent)
        return next(filter(None, reads), [])

    def _dismiss(self) -> list[Move]:
        leaving = [weights for weights in self._weights.values() if weights.is_leaving and weights.stage not in MOVING]
        for weights in leaving:
            del self._weights[weights.handle]
        return [move for weights in leaving for move in weights.leave_host()]

    def _grant(self) -> dict[Weights, None]:
        """Grant as many rows as fit, in order; returns the moves that they need."""
        needed: dict[Weights, None] = {}
        for row in self._rows.values():
            if row.is_lost:
                continue
            fresh = [weights for weights in row.weights if weights not in needed]
            if fresh and not self._capacity.holds([weights.spec for weights in (*needed, *fresh)]):
                break
            row.is_granted = True
            needed |= dict.fromkeys(fresh)
        return needed

    def _bring(self, weights: Weights, evictable: Evictable) -> list[Move]:
        """Make the next move towards the device, unless loads under way use its memory."""
        if weights.is_absent:
            return self._load_to_host(weights, evictable)
        if weights.stage is Stage.ON_HOST:
            return self._load_to_device(weights, evictable)
        return []

    def _load_to_host(self, weights: Weights, evictable: Evictable, promised_bytes: int = 0) -> list[Move]:
        lacking = self.host_bytes + promised_bytes + weights.spec.weights_bytes - self._capacity.host_bytes
        victims: Sequence[Weights] | None = ()
        if lacking > 0:
            at_rest = (each for each in evictable() if each.stage in AT_REST)
            victims = enough(at_rest, lacking, lambda spec: spec.weights_bytes)
        if victims is None:
            return []
        weights.stage = Stage.TO_HOST
        return [*(move for each in victims for move in each.leave_host()), LoadToHost(handle=weights.handle)]

    def _load_to_device(self, weights: Weights, evictable: Evictable) -> list[Move]:
        kind = weights.kind
        taken = weights.slots
        for each in self._weights.values():
            if each.kind == kind and each.stage in IN_BANK:
                taken += each.slots
        lacking = taken - self._capacity.slots(kind)
        victims: Sequence[Weights] | None = ()
        if lacking > 0:
            at_rest = (each for each in evictable() if each.stage is Stage.ON_DEVICE and each.kind == kind)
            victims = enough(at_rest, lacking, slots_of)
        if victims is None:
            return []
        weights.stage = Stage.TO_DEVICE
        return [*(move for each in victims for move in each.leave_device()), LoadToDevice(handle=weights.handle)]


def _absent_bytes(some: Iterable[Weights]) -> int:
    return sum(weights.spec.weights_bytes for weights in some if weights.is_absent)
