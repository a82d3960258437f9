"""`[[adapters]]`: LoRAs and ControlNets, and how popular they are."""

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from safelight.core.adapter import AdapterKind
from safelight.simulator.scenario.quantities import (
    AdapterCount,
    Bytes,
    Count,
    Name,
    NotNegative,
    Numbers,
    Share,
    check_numbers,
)

Tier = Literal["remote", "disk", "host"]
"""Where weights are before a worker loads them."""


class AdapterGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adapters of one model and one size, named `<name>-1`, `<name>-2` and so on, the most popular one first.

    Attributes:
        name: of the group, unique in the file.
        model: that they were made for.
        kind: lora or controlnet.
        count: how many there are; None takes those that the workload's trace names.
        weights_bytes: of each.
        rank: of a LoRA.
        share: of the model's requests that use one; requests of a trace keep their own adapters.
        per_request: how many different ones such a request uses.
        popularity_exponent: the adapter of rank r is used in proportion to r to the power of minus this (Zipf).
        scale: of each use.
        starts_in: the tier that holds them at the start.
    """

    name: Name
    model: Name
    kind: AdapterKind = "lora"
    count: AdapterCount | None = None
    weights_bytes: Bytes = 10_000_000
    rank: Count = 16
    share: Share = 0.0
    per_request: Numbers = 1
    popularity_exponent: NotNegative = 1.0
    scale: float = 1.0
    starts_in: Tier = "disk"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(map(self.name_of, range(self.count or 0)))

    def name_of(self, number: int) -> str:
        """Return the name of an adapter, counted from 0 here."""
        return f"{self.name}-{number + 1}"

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """The share of uses of each of `names`."""
        ranks = np.arange(1, (self.count or 0) + 1, dtype=float)
        popularity = ranks**-self.popularity_exponent
        return np.asarray(popularity / popularity.sum(), float)


def check_adapters(group: AdapterGroup, place: str) -> None:
    """Raise BadScenario for adapters that cannot be drawn."""
    check_numbers(group.per_request, f"{place}.per_request")
