"""Loads of adapters: reads into host memory beside the ticks, and copies to the device between them."""

from collections.abc import Callable, Mapping

from safelight.control.replica.effects import ReadAdapter
from safelight.control.replica.events import AdapterNotRead, AdapterRead
from safelight.core.adapter import AdapterHandle, AdapterKind
from safelight.simulator.fleet.timeline import Timeline
from safelight.simulator.simulation import LoadTiers, SimulatedAdapter

Answer = Callable[[AdapterRead | AdapterNotRead], None]


class AdapterReads:
    """The reads of one worker: one LoRA and one ControlNet at a time, as in the live worker.

    An adapter that was read once from another machine is on the worker's disk from then on. One that begins in host
    memory is read from the disk when it has left that, or in a later process.
    """

    def __init__(
        self,
        adapters: Mapping[AdapterHandle, SimulatedAdapter],
        tiers: LoadTiers,
        timeline: Timeline,
        *,
        factor: Callable[[], float] = lambda: 1.0,
        on_disk: set[AdapterHandle] | None = None,
        is_first: bool = True,
    ) -> None:
        """Start.

        Args:
            adapters: of the simulation.
            tiers: what loads cost.
            timeline: of the simulation.
            factor: draws how many times as long as on average a load takes.
            on_disk: adapters of other machines that earlier processes of the worker have read; is added to.
            is_first: whether it is the worker's first process, whose host memory has what begins there.
        """
        self._adapters = adapters
        self._tiers = tiers
        self._timeline = timeline
        self._factor = factor
        self._free_s: dict[AdapterKind, float] = {}
        self._on_disk = set[AdapterHandle]() if on_disk is None else on_disk
        self._was_in_host = set[AdapterHandle]() if is_first else set(adapters)

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
        if adapter.tier == "host" and handle not in self._was_in_host:
            self._was_in_host.add(handle)
            return 0.0
        weights_bytes = adapter.spec.weights_bytes
        seconds = self._tiers.disk.seconds(weights_bytes)
        if adapter.tier == "remote" and handle not in self._on_disk:
            self._on_disk.add(handle)
            seconds += self._tiers.remote.seconds(weights_bytes)
        return seconds
