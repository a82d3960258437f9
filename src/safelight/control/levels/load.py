"""What level policies know about the fleet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from safelight.cascade.cascade import Cascade, StageSeconds
from safelight.cascade.thresholds import Waits
from safelight.control.adapter_directory import AdapterDirectory
from safelight.control.levels.demand import DemandEstimate
from safelight.control.levels.steadiness import BAND, RISE_S, SteadyShare
from safelight.control.waiting import WaitingQueue
from safelight.control.workers import Workers
from safelight.core.level import Level
from safelight.core.request import ImageRequest
from safelight.profiles.profile import Profile

BATCHES: Final = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, kw_only=True)
class FleetLoad:
    """The load of a fleet at one moment.

    Attributes:
        cascades: by name, as requests name them.
        demand: of each cascade, and `steady` its share in force.
        adapters: that requests may name.
    """

    now: float = 0.0
    workers: Workers = field(default_factory=Workers)
    waiting: WaitingQueue = field(default_factory=WaitingQueue)
    cascades: Mapping[str, Cascade] = field(default_factory=dict)
    demand: Mapping[str, DemandEstimate] = field(default_factory=dict)
    steady: Mapping[str, SteadyShare] = field(default_factory=dict)
    adapters: AdapterDirectory = field(default_factory=AdapterDirectory)

    def settled(self, cascade: Cascade, share: float, *, band: float = BAND, rise_s: float = RISE_S) -> float:
        """Return the share in force for a cascade, now that the load allows `share`: without flapping."""
        steady = self.steady.get(cascade.name)
        return share if steady is None else steady.settle(share, self.now, band=band, rise_s=rise_s)

    def demand_per_s(self, cascade: Cascade) -> float:
        """Return how many requests arrive for a cascade in a second."""
        estimate = self.demand.get(cascade.name)
        return 0.0 if estimate is None else estimate.rate_per_s(self.now)

    def stage_seconds(self, request: ImageRequest, level: Level) -> StageSeconds:
        """Return the seconds of a stage by pictures per call of a worker; empty if none serves the model."""
        serving = self.workers.serving(level.model)
        if not serving:
            return {}
        worker = serving[0]
        profile = worker.paces[level.model].profile
        most = max(1, worker.max_denoiser_rows // level.denoiser_rows)
        return {batch: _stage_s(profile, request, level, batch) for batch in BATCHES if batch <= most}

    def waits(self, cascade: Cascade, share: float) -> Waits:
        """Return the waits of both models, from queue lengths and demand (Little, 1961)."""
        demand_per_s = self.demand_per_s(cascade)
        if demand_per_s <= 0:
            return Waits()
        heavy_per_s = demand_per_s * share
        return Waits(
            light_s=self.waiting.count(cascade.light) / demand_per_s,
            heavy_s=self.waiting.count(cascade.heavy) / heavy_per_s if heavy_per_s > 0 else 0.0,
        )


def _stage_s(profile: Profile, request: ImageRequest, level: Level, batch: int) -> float:
    width, height = request.width, request.height
    tick_s = profile.tick_s(batch * level.denoiser_rows, width=width, height=height)
    encode_s = profile.encoding_s(width=width, height=height, has_source=request.source is not None)
    return level.steps_to_run * tick_s + batch * (encode_s + profile.decoding_s(width=width, height=height))


NO_LOAD: Final = FleetLoad()
"""That of an idle fleet without cascades."""
