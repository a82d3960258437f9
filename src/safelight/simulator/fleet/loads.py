"""Loads of adapters: reads into host memory beside the ticks, and copies to the device between them."""

from collections.abc import Callable, Mapping

from safelight.control.replica.effects import ReadAdapter
from safelight.control.replica.events import AdapterNotRead, AdapterRead
from safelight.core.adapter import AdapterHandle, AdapterKind
from safelight.simulator.fleet.timeline import Timeline
from safelight.simulator.simulation import LoadTiers, SimulatedAdapter

Answer = Callable[[AdapterRead | AdapterNotRead], None]


class StoredWeights:
    """Where the machine of one worker has weights of adapters, through all its processes.

    An adapter that was read once from another machine is on the disk from then on. One that is in host memory at the
    start is read from the disk once it has left host memory, or the first process has ended.
    """

    def __init__(self) -> None:
        self.on_disk: set[AdapterHandle] = set()
        self.taken: set[AdapterHandle] = set()
        self.processes = 0


class AdapterReads:
    """The reads of one process of a worker: one LoRA and one ControlNet at a time, as in the live worker."""

    def __init__(
        self,
        adapters: Mapping[AdapterHandle, SimulatedAdapter],
        tiers: LoadTiers,
        timeline: Timeline,
        *,
        stored: StoredWeights | None = None,
        factor: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """Start; `factor` draws how many times as long as on average a load takes."""
        self._adapters = adapters
        self._tiers = tiers
        self._timeline = timeline
        self._factor = factor
        self._free_s: dict[AdapterKind, float] = {}
        self._stored = StoredWeights() if stored is None else stored
        self._stored.processes += 1

    def begin(self, effect: ReadAdapter, answer: Answer) -> None:
        """Read weights after those that are being read."""
        handle = effect.handle
        adapter = self._adapters.get(handle)
        if adapter is None:
            result = AdapterNotRead(handle=handle, reason="It is not part of the simulation.")
            self._timeline.at(self._timeline.now_s, lambda: answer(result))
            return
        kind = adapter.spec.kind
        begin_s = max(self._timeline.now_s + effect.after_s, self._free_s.get(kind, 0.0))
        self._free_s[kind] = end_s = begin_s + self._reading_s(handle, adapter) * self._factor()
        self._timeline.at(end_s, lambda: answer(AdapterRead(handle=handle, spec=adapter.spec)))

    def copying_s(self, handle: AdapterHandle) -> float:
        """Return the seconds of a copy from host memory to the device."""
        return self._tiers.host.seconds(self._adapters[handle].spec.weights_bytes) * self._factor()

    def _reading_s(self, handle: AdapterHandle, adapter: SimulatedAdapter) -> float:
        stored = self._stored
        if adapter.tier == "host" and stored.processes == 1 and handle not in stored.taken:
            stored.taken.add(handle)
            return 0.0
        weights_bytes = adapter.spec.weights_bytes
        seconds = self._tiers.disk.seconds(weights_bytes)
        if adapter.tier == "remote" and handle not in stored.on_disk:
            stored.on_disk.add(handle)
            seconds += self._tiers.remote.seconds(weights_bytes)
        return seconds
