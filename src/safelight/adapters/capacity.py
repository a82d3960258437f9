"""Memory for the weights of adapters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, get_args

from safelight.core.adapter import AdapterKind, AdapterSpec
from safelight.core.errors import AdapterTooLarge, TooManyAdapters

KINDS: Final[tuple[AdapterKind, ...]] = get_args(AdapterKind)


@dataclass(frozen=True, kw_only=True)
class AdapterCapacity:
    """Capacity of host memory and of the device.

    Attributes:
        host_bytes: for all adapters in host memory, including those on the device. ControlNets of the ControlNet
            service count too, since nothing else bounds the memory of that process.
        device_ranks: pages of the LoRA bank; a LoRA takes as many as its largest rank, at any positions.
        device_controlnets: how many ControlNets the device holds beside the bank.
    """

    host_bytes: int
    device_ranks: int
    device_controlnets: int

    def slots(self, kind: AdapterKind) -> int:
        """Return how many slots of the device there are for adapters of one kind: ranks for LoRAs, else ControlNets."""
        return self.device_ranks if kind == "lora" else self.device_controlnets

    def holds(self, specs: Sequence[AdapterSpec]) -> bool:
        """Whether all of these can be on the device at the same time."""
        host_bytes = ranks = controlnets = 0
        for spec in specs:
            host_bytes += spec.weights_bytes
            if spec.kind == "lora":
                ranks += spec.rank
            else:
                controlnets += 1
        return self.has(host_bytes, {"lora": ranks, "controlnet": controlnets})

    def has(self, host_bytes: int, slots: Mapping[AdapterKind, int]) -> bool:
        """Whether there are so many bytes and slots of each kind."""
        if host_bytes > self.host_bytes:
            return False
        return slots["lora"] <= self.device_ranks and slots["controlnet"] <= self.device_controlnets

    def check(self, specs: Sequence[AdapterSpec]) -> None:
        """Refuse adapters of one row that cannot all be on the device at the same time.

        Raises:
            AdapterTooLarge: if one does not fit alone, or all together take too much memory.
            TooManyAdapters: if each would fit on the device, but not all together.
        """
        if self.holds(specs):
            return
        for spec in specs:
            self._check_alone(spec)
        for kind in KINDS:
            taken = list(accumulate(sorted(_slots_of(kind, specs))))
            limit = sum(slots <= self.slots(kind) for slots in taken)
            if limit < len(taken):
                raise TooManyAdapters(len(taken), limit=limit, param=f"{kind}s")
        self._check_memory(specs)

    def _check_alone(self, spec: AdapterSpec) -> None:
        self._check_memory([spec])
        if slots_of(spec) <= self.slots(spec.kind):
            return
        if spec.kind == "lora":
            raise AdapterTooLarge(spec.name, needs=f"rank {spec.rank}", limit=f"rank {self.device_ranks}")
        raise AdapterTooLarge(spec.name, needs="the size of a ControlNet", limit="that of a LoRA")

    def _check_memory(self, specs: Sequence[AdapterSpec]) -> None:
        together = sum(spec.weights_bytes for spec in specs)
        if together > self.host_bytes:
            names = " + ".join(spec.name for spec in specs)
            raise AdapterTooLarge(names, needs=_megabytes(together), limit=_megabytes(self.host_bytes))


def slots_of(spec: AdapterSpec) -> int:
    """Return how many of the device's slots for its kind an adapter takes."""
    return spec.rank if spec.kind == "lora" else 1


def _slots_of(kind: AdapterKind, specs: Iterable[AdapterSpec]) -> list[int]:
    return [slots_of(spec) for spec in specs if spec.kind == kind]


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB of memory"
