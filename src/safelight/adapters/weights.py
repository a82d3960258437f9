"""The state of one adapter's weights: disk, host memory or device."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from safelight.adapters.capacity import slots_of
from safelight.adapters.moves import EvictFromDevice, EvictFromHost, Move
from safelight.adapters.registry import Registered
from safelight.core.adapter import AdapterHandle, AdapterKind, AdapterSpec


class Stage(Enum):
    """Where the weights of an adapter are."""

    ABSENT = "absent"
    TO_HOST = "to host"
    ON_HOST = "on host"
    TO_DEVICE = "to device"
    ON_DEVICE = "on device"


MOVING: Final = (Stage.TO_HOST, Stage.TO_DEVICE)
IN_BANK: Final = (Stage.TO_DEVICE, Stage.ON_DEVICE)
UNDER_WAY: Final = (*MOVING, Stage.ON_DEVICE)
AT_REST: Final = (Stage.ON_HOST, Stage.ON_DEVICE)


@dataclass(slots=True, eq=False, kw_only=True)
class Weights:
    adapter: Registered
    used_s: float
    stage: Stage = Stage.ABSENT
    is_leaving: bool = False

    spec: AdapterSpec = field(init=False)
    handle: AdapterHandle = field(init=False)
    kind: AdapterKind = field(init=False)
    slots: int = field(init=False)

    def __post_init__(self) -> None:
        self.spec, self.handle = self.adapter.spec, self.adapter.handle
        self.kind, self.slots = self.spec.kind, slots_of(self.spec)

    @property
    def is_absent(self) -> bool:
        return self.stage is Stage.ABSENT

    def leave_device(self) -> list[Move]:
        if self.stage is not Stage.ON_DEVICE:
            return []
        self.stage = Stage.ON_HOST
        return [EvictFromDevice(handle=self.handle)]

    def leave_host(self) -> list[Move]:
        moves = self.leave_device()
        if self.stage is not Stage.ON_HOST:
            return moves
        self.stage = Stage.ABSENT
        return [*moves, EvictFromHost(handle=self.handle)]


def enough(evictable: Iterable[Weights], lacking: int, size: Callable[[AdapterSpec], int]) -> list[Weights] | None:
    """Return the first of `evictable` that free at least `lacking`; None if all of them together do not."""
    victims: list[Weights] = []
    for weights in evictable:
        if lacking <= 0:
            break
        victims.append(weights)
        lacking -= size(weights.spec)
    return victims if lacking <= 0 else None
