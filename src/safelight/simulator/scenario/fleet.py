"""`[[fleet]]`: groups of equal workers."""

import msgspec

from safelight.control.replica.config import ADAPTER_CAPACITY
from safelight.simulator.scenario.quantities import Bytes, Count, Factor, Name, NotNegative, SomeNames, WorkerCount


class TierCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it takes to load from one tier into the next one.

    Attributes:
        constant_s: seconds of each load.
        s_per_byte: further seconds for each byte.
    """

    constant_s: NotNegative = 0.0
    s_per_byte: NotNegative = 0.0


class LoadTiers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds of loading adapters.

    Attributes:
        remote: from another machine to the worker's host memory.
        disk: from the worker's disk to its host memory.
        host: from host memory to the device.
    """

    remote: TierCost = TierCost()
    disk: TierCost = TierCost()
    host: TierCost = TierCost()


class WorkerGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Equal workers, named `<name>-1`, `<name>-2` and so on.

    Attributes:
        name: of the group, unique in the file.
        count: of workers.
        models: that each of them serves: names of `[models]`.
        profiles: by model, instead of the model's own profile: a path beside the scenario, or a built-in name.
        device: its name in reports.
        memory_bytes: of the device; None does not check that weights and calls fit.
        max_denoiser_rows: of one denoiser call; None is as many as the profiles of all models have, at most 32.
        adapter_host_bytes: of host memory for adapters.
        adapter_device_ranks: for LoRAs on the device: the sum of their ranks.
        adapter_device_controlnets: ControlNets on the device.
        startup_s: seconds until a worker is ready, at the start and after it was lost.
        starts_ready: whether it is ready at the start, so that `startup_s` counts only after it was lost.
        speed: how many times as fast as the profile it computes.
        load_tiers: what loads of adapters cost; None is what the profile of the first model with such costs has.
        transfer_s_per_byte: seconds for each byte of the latents of a picture that another worker has paused.
    """

    name: Name
    count: WorkerCount
    models: SomeNames
    profiles: dict[str, str] = {}
    device: str = ""
    memory_bytes: Bytes | None = None
    max_denoiser_rows: Count | None = None
    adapter_host_bytes: Bytes = ADAPTER_CAPACITY.host_bytes
    adapter_device_ranks: int = ADAPTER_CAPACITY.device_ranks
    adapter_device_controlnets: int = ADAPTER_CAPACITY.device_controlnets
    startup_s: NotNegative = 0.0
    starts_ready: bool = False
    speed: Factor = 1.0
    load_tiers: LoadTiers | None = None
    transfer_s_per_byte: NotNegative = 0.0

    @property
    def worker_names(self) -> tuple[str, ...]:
        return tuple(f"{self.name}-{number}" for number in range(1, self.count + 1))
