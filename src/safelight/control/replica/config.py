"""Policies and limits of a replica."""

from dataclasses import dataclass, field
from typing import Final

from safelight.adapters.capacity import AdapterCapacity
from safelight.adapters.modes import DEFAULT_ADAPTER_MODE, AdapterMode
from safelight.control.batching.deadline import DeadlineBatching
from safelight.control.batching.protocol import BatchingPolicy
from safelight.control.order.deadline import DeadlineOrder
from safelight.control.order.protocol import OrderPolicy
from safelight.core.model import GateSpec, ModelSpec
from safelight.core.work import Ready

MAX_DENOISER_ROWS: Final = 32
ADAPTER_CAPACITY: Final = AdapterCapacity(host_bytes=2 << 30, device_ranks=256, device_controlnets=8)
LATENTS_BYTES: Final = 256 << 20
MAX_LOSSES: Final = 2
READ_AGAIN_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class ReplicaConfig:
    """Policies and limits of one replica.

    Attributes:
        max_denoiser_rows: of one denoiser call.
        adapter_capacity: for the weights of all adapters.
        latents_bytes: for captured latents; the oldest are dropped.
        max_losses: how many times a row may lose the same adapter during its steps and wait for it again.
        read_again_s: pause before the first read of an adapter is repeated when the ControlNet service was unreachable.
        deterministic: no row runs without its LoRAs, whatever `ImageRequest.grace_steps`, since how many steps it would
            do so depends on how long the read takes.
        coalesces_steps: whether the machine says how many ticks may follow each other before any choice can change, so
            that a simulation does them as one.
    """

    max_denoiser_rows: int = MAX_DENOISER_ROWS
    order: OrderPolicy = field(default_factory=DeadlineOrder)
    batching: BatchingPolicy = field(default_factory=DeadlineBatching)
    adapter_mode: AdapterMode = DEFAULT_ADAPTER_MODE
    adapter_capacity: AdapterCapacity = ADAPTER_CAPACITY
    latents_bytes: int = LATENTS_BYTES
    max_losses: int = MAX_LOSSES
    read_again_s: float = READ_AGAIN_S
    deterministic: bool = False
    coalesces_steps: bool = False


def ready(models: tuple[ModelSpec, ...], config: ReplicaConfig, gates: tuple[GateSpec, ...] = ()) -> Ready:
    """Return what a worker with these models, gates and this configuration reports when it has started."""
    capacity = config.adapter_capacity
    return Ready(
        models=models,
        max_denoiser_rows=config.max_denoiser_rows,
        adapter_bytes=capacity.host_bytes,
        device_ranks=capacity.device_ranks,
        device_controlnets=capacity.device_controlnets,
        gates=gates,
    )
