"""dLoRA's rule with the costs of this device instead of the published ones."""

from typing import Final

from safelight.adapters.dlora import DloraConfig, DloraCredit
from safelight.adapters.mode import Choice, ModeCosts, Queue


class DloraMeasured:
    """Follows `DloraCredit` (Wu et al., OSDI 2024) with constants from the costs of the first choice, for full calls."""

    name: Final = "dlora-credit-measured"

    def __init__(self) -> None:
        self._policy: DloraCredit | None = None

    def choose(self, queue: Queue, costs: ModeCosts, now: float) -> Choice:
        if self._policy is None:
            self._policy = DloraCredit(_config(queue.max_denoiser_rows, costs))
        return self._policy.choose(queue, costs, now)


def _config(max_batch: int, costs: ModeCosts) -> DloraConfig:
    tick_s = costs.tick_s(max_batch)
    return DloraConfig(
        merge_s=tick_s,
        unmerge_s=tick_s * (1 + costs.unmerged_overhead),
        switch_s=costs.switch_s,
        max_batch=max_batch,
    )
