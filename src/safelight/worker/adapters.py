"""The weights of adapters in one worker: read beside the ticks, kept where the residency wants them."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safelight.adapters.moves import EvictFromDevice, EvictFromHost, LoadToDevice, LoadToHost, Move
from safelight.adapters.registry import Registered, generation_of, name_of
from safelight.adapters.residency import Residency
from safelight.adapters.room import Room
from safelight.core.adapter import AdapterSpec
from safelight.core.errors import ControlNetServiceLost, SafelightError
from safelight.core.work import AdapterAdded, AdapterRefused, AddAdapter, WorkerEvent
from safelight.worker.engine import Engine

READ_AGAIN_S = 1.0
"""How long after a first read that found the ControlNet service away the next one begins."""


@dataclass(frozen=True, kw_only=True)
class WeightsRead:
    """A file has been read, or could not be; `is_new` if the adapter was not known before."""

    handle: str
    is_new: bool
    read: Future[tuple[AdapterSpec, Any]]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A row can never have the adapters that it needs; `reason` is fit for users."""

    row: str
    reason: str


class AdapterCabinet:
    """Carries out the residency's moves: reads files in a thread of its own, so that no tick waits for a disk.

    Those that another process reads have a second thread, so that no file waits for that process.
    `post` hands news to the worker's loop, which passes them to `take_in` between two ticks. `on_evicted` is told when
    weights have left the device. A row may name an adapter that is still being read for the first time. Any call may
    bring losses, which the driver settles one by one: it releases the row of `loss` until there is none.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        room: Room,
        post: Callable[[WeightsRead], None],
        send: Callable[[WorkerEvent], None],
        on_evicted: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._on_evicted = on_evicted
        self._post = post
        self._send = send
        self._room = room
        self._residency = Residency(room)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="adapters")
        self._remote_reader = ThreadPoolExecutor(1, thread_name_prefix="remote-adapters")
        self._offered: dict[str, AddAdapter] = {}
        self._known: dict[str, Registered] = {}
        self._weights: dict[str, Any] = {}
        self._wanted: dict[str, Sequence[str]] = {}
        self._expected: Sequence[str] = ()
        self._placed: set[str] = set()
        self._lost: dict[str, str] = {}

    @property
    def loss(self) -> Loss | None:
        """One of the rows that can never have what they need, until it is released."""
        return next((Loss(row=row, reason=reason) for row, reason in self._lost.items()), None)

    def add(self, command: AddAdapter) -> None:
        """Read an adapter for the first time, to see whether it can be used."""
        self._offered[command.handle] = command
        self._read(command.handle, is_new=True)

    def remove(self, handle: str) -> None:
        """Forget an adapter that no row holds."""
        self._offered.pop(handle, None)
        if self._known.pop(handle, None) is not None:
            self._obey(self._residency.forget(handle))

    def hold(self, row: str, handles: Sequence[str], now: float) -> None:
        """Bring what a row needs to the device, and keep it there until `release`."""
        self._wanted[row] = handles
        missing = [handle for handle in handles if handle not in self._offered]
        if missing:
            self._lost[row] = f"The worker has no adapter {name_of(missing[0])!r}."
        else:
            self._place(row, now)

    def expect(self, handles: Sequence[str], now: float) -> None:
        """Read these ahead, soonest needed first, and no others that were expected before."""
        self._expected = handles
        known = [self._known[handle] for handle in handles if handle in self._known]
        self._obey(self._residency.expect(known, now))

    def release(self, row: str, now: float) -> None:
        """The row is gone; rows that hold nothing are ignored."""
        self._wanted.pop(row, None)
        self._lost.pop(row, None)
        if row in self._placed:
            self._placed.remove(row)
            self._obey(self._residency.release(row, now))

    def bring_again(self, handle: str) -> None:
        """Let go of weights that have become useless, and read them anew for the rows that hold them."""
        self._obey(self._residency.lost(handle))

    def is_ready(self, row: str) -> bool:
        """Whether all that the row needs is on the device."""
        return row in self._placed and self._residency.is_ready(row)

    def has_controlnets(self, row: str) -> bool:
        """Whether all ControlNets that the row needs are on the device."""
        return row in self._placed and self._residency.has_controlnets(row)

    def take_in(self, news: WeightsRead, now: float) -> None:
        """Use what was read, or tell that it could not be."""
        try:
            spec, weights = news.read.result()
        except ControlNetServiceLost as error:
            self._postpone(news, str(error))
        except SafelightError as error:
            self._miss(news, str(error))
        except Exception as error:  # noqa: BLE001 - no file, however odd, may end the worker
            self._miss(news, f"It cannot be read ({type(error).__name__}: {error}).")
        else:
            if news.is_new:
                self._introduce(news.handle, spec, now)
            elif news.handle in self._known and spec != self._known[news.handle].spec:
                self._miss(news, "Its file has changed since it was added; remove it, and add it again.")
            else:
                self._weights[news.handle] = weights
                self._obey(self._residency.loaded(news.handle))

    def close(self) -> None:
        """Read nothing more."""
        for reader in (self._reader, self._remote_reader):
            reader.shutdown(wait=False, cancel_futures=True)

    def _place(self, row: str, now: float) -> None:
        """Queue for room as soon as all that the row needs is known."""
        adapters = [self._known[handle] for handle in self._wanted[row] if handle in self._known]
        if len(adapters) < len(self._wanted[row]):
            return
        try:
            moves = self._residency.hold(row, adapters, now)
        except SafelightError as error:
            self._lost[row] = str(error)
            return
        self._placed.add(row)
        self._obey(moves)

    def _introduce(self, handle: str, spec: AdapterSpec, now: float) -> None:
        if handle not in self._offered:
            return
        try:
            self._room.check([spec])
        except SafelightError as error:
            self._refuse(handle, str(error))
            return
        self._known[handle] = Registered(spec=spec, generation=generation_of(handle))
        self._send(AdapterAdded(handle=handle, spec=spec))
        for row in self._early(handle):
            self._place(row, now)
        if handle in self._expected:
            self.expect(self._expected, now)

    def _postpone(self, news: WeightsRead, reason: str) -> None:
        """Give up the rows that wait, but not an adapter on which nobody has passed judgement."""
        if not news.is_new:
            self._miss(news, reason)
        elif news.handle in self._offered:
            self._lose_early(news.handle, f"cannot be read: {reason}")
            self._read(news.handle, is_new=True, after_s=READ_AGAIN_S)

    def _miss(self, news: WeightsRead, reason: str) -> None:
        if news.is_new:
            self._refuse(news.handle, reason)
        else:
            self._obey(self._fail(news.handle, f"The adapter {name_of(news.handle)!r} cannot be read: {reason}"))

    def _refuse(self, handle: str, reason: str) -> None:
        self._offered.pop(handle, None)
        self._send(AdapterRefused(handle=handle, message=reason))
        self._lose_early(handle, f"cannot be used: {reason}")

    def _lose_early(self, handle: str, reason: str) -> None:
        for row in self._early(handle):
            self._lost[row] = f"The adapter {name_of(handle)!r} {reason}"

    def _early(self, handle: str) -> list[str]:
        """Return the rows that came before this adapter was known."""
        return [row for row, handles in self._wanted.items() if handle in handles and row not in self._placed]

    def _read(self, handle: str, *, is_new: bool, after_s: float = 0.0) -> None:
        command = self._offered[handle]

        def read() -> tuple[AdapterSpec, Any]:
            time.sleep(after_s)
            return self._engine.read_adapter(command.name, Path(command.path))

        reader = self._remote_reader if self._engine.is_remote(Path(command.path)) else self._reader
        reading = reader.submit(read)
        reading.add_done_callback(lambda read: self._post(WeightsRead(handle=handle, is_new=is_new, read=read)))

    def _obey(self, moves: Sequence[Move]) -> None:
        waiting = deque(moves)
        while waiting:
            move = waiting.popleft()
            handle = move.adapter.handle
            match move:
                case LoadToHost():
                    self._read(handle, is_new=False)
                case LoadToDevice():
                    waiting.extend(self._load(handle))
                case EvictFromDevice():
                    self._engine.evict_adapter(handle)
                    self._on_evicted(handle)
                case EvictFromHost():
                    self._weights.pop(handle, None)

    def _load(self, handle: str) -> Sequence[Move]:
        try:
            self._engine.load_adapter(handle, self._weights[handle])
        except (RuntimeError, SafelightError) as error:
            return self._fail(handle, f"The adapter {name_of(handle)!r} cannot be brought to the device: {error}")
        return self._residency.loaded(handle)

    def _fail(self, handle: str, reason: str) -> Sequence[Move]:
        self._lost |= dict.fromkeys(self._residency.holders(handle), reason)
        return self._residency.failed(handle)
