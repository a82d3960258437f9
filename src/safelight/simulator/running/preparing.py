"""From a scenario and one of its runs to what the simulator takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safelight.adapters.capacity import AdapterCapacity
from safelight.control.config import ControlConfig
from safelight.control.policies import Policies, policies_from
from safelight.core.adapter import AdapterSpec
from safelight.core.errors import RequestError
from safelight.core.level import Level
from safelight.simulator.errors import BadScenario
from safelight.simulator.results.figures import RunKey
from safelight.simulator.results.tally import QualityOf
from safelight.simulator.results.timeline import FidOf
from safelight.simulator.scenario.adapters import AdapterGroup
from safelight.simulator.scenario.arrivals import Arrivals, arrivals_of
from safelight.simulator.scenario.cascades import scorer_of
from safelight.simulator.scenario.fleet import TierCost, WorkerGroup
from safelight.simulator.scenario.request_kinds import Size
from safelight.simulator.scenario.requests import RequestMaker, TraceAdapters, adapter_names_of
from safelight.simulator.scenario.scenario import Scenario
from safelight.simulator.scenario.served_models import ServedModel, served_models, solo_s
from safelight.simulator.simulation import (
    Fault,
    LoadCost,
    LoadTiers,
    SimulatedAdapter,
    SimulatedModel,
    SimulatedWorker,
    Simulation,
)

UNET = ("unet",)
TIERS = ("remote", "disk", "host")


@dataclass(frozen=True, kw_only=True)
class PreparedRun:
    """A run that is ready to be simulated.

    Attributes:
        requests: how many arrive.
        last_s: when the last one arrives.
        rate_per_s: mean arrivals per second.
        quality_of: of a level's pictures.
        fid_of: of a mix of pictures, by numbers of pictures of each model.
    """

    simulation: Simulation
    requests: int
    last_s: float
    rate_per_s: float
    quality_of: QualityOf
    fid_of: FidOf | None


def prepare(scenario: Scenario, key: RunKey, *, policies: Sequence[str], folder: Path) -> PreparedRun:
    """Return one run of a scenario.

    Args:
        scenario: that has been checked.
        key: of the run.
        policies: its choices, as of `serve --policy`.
        folder: that paths are relative to.

    Raises:
        BadScenario: if a profile or a trace cannot be used, or something does not fit.
    """
    served = {group.name: served_models(scenario.models, group, folder=folder) for group in scenario.fleet}
    arrivals = arrivals_of(scenario.workload, folder=folder, load=key.load, seed=key.seed)
    adapters = _adapters(scenario, arrivals)
    for group in scenario.fleet:
        _check_capacity(group, adapters)
    requests = RequestMaker(
        scenario, sizes=_sizes(scenario, served), solo_s=_solo_time(scenario, served), seed=key.seed
    )
    chosen = policies_from(policies)
    return PreparedRun(
        simulation=Simulation(
            workers=tuple(each for group in scenario.fleet for each in _workers(group, served[group.name])),
            adapters=adapters,
            requests=requests.requests(arrivals),
            control=_control(scenario, chosen),
            faults=tuple(
                Fault(kind=each.kind, worker=each.worker, at_s=each.at_s, for_s=each.for_s, factor=each.factor)
                for each in scenario.faults
            ),
            score=scorer_of(scenario.cascades, seed=key.seed),
            seed=key.seed,
        ),
        requests=len(arrivals.times_s),
        last_s=float(arrivals.times_s[-1]) if len(arrivals.times_s) else 0.0,
        rate_per_s=arrivals.rate_per_s * key.load,
        quality_of=_quality(scenario),
        fid_of=scenario.cascades[0].fid if len(scenario.cascades) == 1 else None,
    )


def _control(scenario: Scenario, policies: Policies) -> ControlConfig:
    limits = scenario.limits
    return ControlConfig(
        max_waiting=limits.max_waiting,
        max_attempts=limits.max_attempts,
        lookahead_rows=limits.lookahead_rows,
        orphan_wait_s=limits.orphan_wait_s,
        policies=policies,
        cascades=tuple(entry.cascade() for entry in scenario.cascades),
    )


def _workers(group: WorkerGroup, served: Mapping[str, ServedModel]) -> list[SimulatedWorker]:
    models = tuple(SimulatedModel(spec=each.spec, profile=each.profile) for each in served.values())
    return [
        SimulatedWorker(
            name=name,
            models=models,
            max_denoiser_rows=group.max_denoiser_rows,
            adapter_capacity=_capacity(group),
            startup_s=group.startup_s,
            speed=group.speed,
            load_tiers=LoadTiers(**{tier: _cost(getattr(group.load_tiers, tier)) for tier in TIERS}),
            transfer_s_per_byte=group.transfer_s_per_byte,
        )
        for name in group.worker_names
    ]


def _cost(cost: TierCost) -> LoadCost:
    return LoadCost(constant_s=cost.constant_s, s_per_byte=cost.s_per_byte)


def _capacity(group: WorkerGroup) -> AdapterCapacity:
    return AdapterCapacity(
        host_bytes=int(group.adapter_host_bytes),
        device_ranks=group.adapter_device_ranks,
        device_controlnets=group.adapter_device_controlnets,
    )


def _adapters(scenario: Scenario, arrivals: Arrivals) -> tuple[SimulatedAdapter, ...]:
    """Return all adapters: those that are counted, and those that the trace names."""
    names = TraceAdapters.of(scenario.adapters)
    placed = []
    for group in scenario.adapters:
        own = group.names or tuple(
            names.name_of(name, model=group.model, kind=group.kind)
            for name in adapter_names_of(arrivals.table, group.kind)
        )
        placed += [SimulatedAdapter(spec=_spec(name, group), tier=group.starts_in) for name in own]
    return tuple(placed)


def _spec(name: str, group: AdapterGroup) -> AdapterSpec:
    return AdapterSpec(
        name=name,
        kind=group.kind,
        model=group.model,
        weights_bytes=int(group.weights_bytes),
        ranks=(group.rank,) if group.kind == "lora" else (),
        parts=UNET,
    )


def _check_capacity(group: WorkerGroup, adapters: Sequence[SimulatedAdapter]) -> None:
    """Raise BadScenario for adapters of the group's models of which not even one fits its workers."""
    capacity = _capacity(group)
    for each in {(a.spec.model, a.spec.kind, a.spec.weights_bytes, a.spec.ranks): a for a in adapters}.values():
        if each.spec.model in group.models:
            try:
                capacity.check([each.spec])
            except RequestError as error:
                raise BadScenario(f"cannot hold an adapter: {error}", place=f"fleet {group.name!r}") from error


def _sizes(scenario: Scenario, served: Mapping[str, Mapping[str, ServedModel]]) -> dict[str, Size]:
    """Return the own size of each model and cascade."""
    own = {name: (model.spec.width, model.spec.height) for group in served.values() for name, model in group.items()}
    return {name: own[scenario.largest_model_of(name)] for name in scenario.served_names}


def _solo_time(scenario: Scenario, served: Mapping[str, Mapping[str, ServedModel]]) -> "_SoloTime":
    return _SoloTime(
        served=tuple((group.speed, served[group.name]) for group in scenario.fleet),
        known={},
    )


@dataclass(frozen=True, kw_only=True)
class _SoloTime:
    """Seconds of a request alone on the fastest worker, by model, steps, size and guidance scale."""

    served: tuple[tuple[float, Mapping[str, ServedModel]], ...]
    known: dict[tuple[str, int, Size, float | None], float]

    def __call__(self, model: str, steps: int, size: Size, guidance_scale: float | None) -> float:
        wanted = (model, steps, size, guidance_scale)
        if wanted not in self.known:
            self.known[wanted] = min(
                solo_s(models[model], _level(models[model], steps, guidance_scale), width=size[0], height=size[1])
                / speed
                for speed, models in self.served
                if model in models
            )
        return self.known[wanted]


def _level(served: ServedModel, steps: int, guidance_scale: float | None) -> Level:
    spec = served.spec
    return Level(
        model=spec.name,
        steps=steps,
        guidance_scale=spec.guidance_scale if guidance_scale is None else guidance_scale,
        guidance=spec.guidance,
        sampler=spec.sampler,
    )


def _quality(scenario: Scenario) -> QualityOf:
    models = scenario.models
    return lambda level: models[level.model].quality_at(level.steps) if level.model in models else None
