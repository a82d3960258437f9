"""From a scenario and one of its runs to what the simulator takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec

from safelight.adapters.capacity import AdapterCapacity
from safelight.cascade.router import Numbers, Router
from safelight.control.config import ControlConfig
from safelight.control.policies import Policies, policies_from
from safelight.core.adapter import AdapterSpec
from safelight.core.errors import RequestError
from safelight.core.level import Level
from safelight.core.outcome import Outcome
from safelight.profiles.gate_file import GateFile
from safelight.profiles.parts import LoadTime, LoadTimes
from safelight.simulator.errors import BadScenario
from safelight.simulator.language.simulate import LanguageSimulation
from safelight.simulator.results.figures import RunKey
from safelight.simulator.results.tally import GainOf, QualityOf
from safelight.simulator.results.timeline import QualityOfMix
from safelight.simulator.running.language import language_simulation
from safelight.simulator.running.notes import adapters_left_out, costless, metric_of
from safelight.simulator.scenario.adapters import AdapterGroup
from safelight.simulator.scenario.arrivals import Arrivals, arrivals_of
from safelight.simulator.scenario.cascades import check_cascades, scorer_of
from safelight.simulator.scenario.fleet import TierCost, WorkerGroup
from safelight.simulator.scenario.language_keys import check_language_policies
from safelight.simulator.scenario.quantities import parse_size
from safelight.simulator.scenario.request_kinds import Alone, Size
from safelight.simulator.scenario.requests import RequestMaker, TraceAdapters, adapter_names_of
from safelight.simulator.scenario.scenario import Scenario
from safelight.simulator.scenario.served_models import (
    ServedModel,
    check_groups,
    check_memory,
    check_points,
    rows_per_call,
    served_models,
)
from safelight.simulator.scenario.workload import MixEntry
from safelight.simulator.simulation import (
    Fault,
    LoadCost,
    LoadTiers,
    SimulatedAdapter,
    SimulatedModel,
    SimulatedWorker,
    Simulation,
)
from safelight.traces.row import ANY_MODEL

UNET = ("unet",)

Served = Mapping[str, Mapping[str, ServedModel]]
"""The models of each group of workers, by names."""


@dataclass(frozen=True, kw_only=True)
class PreparedRun:
    """A run that is ready to be simulated.

    Attributes:
        workers: their names.
        devices: of workers that name one.
        requests: how many arrive.
        last_s: when the last one arrives.
        rate_per_s: mean arrivals per second.
        quality_of: of a level's pictures.
        quality_of_mix: of a mix of pictures, by numbers of pictures of each model; None takes the mean of qualities.
        gain_of: by how much a picture is better than the mean of its level; None where that is not known.
        quality_metric: what qualities mean, where a profile says it.
        notes: sentences on what costs nothing because no figures tell it.
    """

    simulation: Simulation | LanguageSimulation
    workers: tuple[str, ...]
    devices: Mapping[str, str]
    requests: int
    last_s: float
    rate_per_s: float
    quality_of: QualityOf
    quality_of_mix: QualityOfMix | None
    gain_of: GainOf | None
    quality_metric: str
    notes: tuple[str, ...]


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
    gates = {
        entry.name: entry.read_gate(folder, f"cascades[{number}]") for number, entry in enumerate(scenario.cascades)
    }
    check_groups(served)
    scenario = _with_curves(scenario, served, gates)
    arrivals = arrivals_of(scenario.workload, folder=folder, load=key.load, seed=key.seed)
    adapters = _adapters(scenario, arrivals)
    sizes = _sizes(scenario, served)
    _check_groups(scenario, served, adapters, _asked_sizes(scenario, sizes))
    maker = RequestMaker(scenario, sizes=sizes, solo_s=_solo_time(scenario, served), seed=key.seed)
    requests, chosen = maker.requests(arrivals), policies_from(policies)
    if scenario.reuse is not None:
        requests = (msgspec.structs.replace(each, reuse="approximate", has_free_seed=True) for each in requests)
    simulation: Simulation | LanguageSimulation
    if scenario.language is not None:
        check_language_policies(policies)
        group = scenario.fleet[0]
        simulation = language_simulation(scenario, served[group.name], chosen, requests, seed=key.seed)
    else:
        simulation = Simulation(
            workers=tuple(each for group in scenario.fleet for each in _workers(group, served[group.name])),
            adapters=adapters,
            requests=requests,
            control=_control(scenario, chosen, gates),
            faults=_faults(scenario),
            reuse=None if scenario.reuse is None else scenario.reuse.rules,
            score=scorer_of(scenario.cascades, seed=key.seed),
            seed=key.seed,
            warmup_s=scenario.warmup_s,
        )
    gain_of = _gain_of(scenario, served, seed=key.seed)
    return PreparedRun(
        simulation=simulation,
        workers=scenario.worker_names,
        devices={name: group.device for group in scenario.fleet if group.device for name in group.worker_names},
        requests=len(arrivals.times_s),
        last_s=float(arrivals.times_s[-1]) if len(arrivals.times_s) else 0.0,
        rate_per_s=arrivals.rate_per_s * key.load,
        quality_of=_quality(scenario, served),
        quality_of_mix=None if gain_of else _quality_of_mix(scenario),
        gain_of=gain_of,
        quality_metric=metric_of(_metrics(scenario, served)),
        notes=_notes(scenario, served, adapters, arrivals),
    )


def _faults(scenario: Scenario) -> tuple[Fault, ...]:
    return tuple(
        Fault(kind=each.kind, worker=each.worker, at_s=each.at_s, for_s=each.for_s, factor=each.factor)
        for each in scenario.faults
    )


def _check_groups(
    scenario: Scenario, served: Served, adapters: Sequence[SimulatedAdapter], asked: Mapping[str, set[Size]]
) -> None:
    """Raise BadScenario for models that do not fit their workers, and for work that no profile has measured."""
    steered = {each.spec.model for each in adapters if each.spec.kind == "controlnet"}
    for group in scenario.fleet:
        check_memory(group, served[group.name])
        check_points(group, served[group.name], asked, steered=steered)
        _check_capacity(group, adapters)


def _notes(
    scenario: Scenario, served: Served, adapters: Sequence[SimulatedAdapter], arrivals: Arrivals
) -> tuple[str, ...]:
    source = scenario.workload.trace or scenario.workload.like
    unnamed = adapters_left_out(arrivals.table, source.replace if source is not None else ())
    if scenario.language is not None:
        return tuple(unnamed)
    free = [
        note
        for group in scenario.fleet
        for note in costless(
            group,
            {name: model.profile for name, model in served[group.name].items()},
            adapters,
            _load_tiers(group, served[group.name]),
        )
    ]
    return (*unnamed, *free)


def _metrics(scenario: Scenario, served: Served) -> dict[str, str]:
    """Return the metrics of the models whose qualities are those of their profiles."""
    return {
        name: model.profile.quality_metric
        for group in served.values()
        for name, model in group.items()
        if model.profile.quality_metric and scenario.models[name].quality is None
    }


def _with_curves(scenario: Scenario, served: Served, gates: Mapping[str, GateFile | None]) -> Scenario:
    """Return the scenario with the curves of profiles in cascades that have none of their own; raises BadScenario."""
    light = {name: model.profile for group in served.values() for name, model in group.items()}
    entries = tuple(
        entry.with_profile(light[entry.light], None if (gate := gates[entry.name]) is None else gate.card)
        for entry in scenario.cascades
    )
    check_cascades(entries, tuple(scenario.models))
    for number, entry in enumerate(entries):
        if entry.deferral is None:
            raise BadScenario(
                f"is missing, and the profile of {entry.light!r} has none.", place=f"cascades[{number}].deferral"
            )
    return msgspec.structs.replace(scenario, cascades=entries)


def _asked_sizes(scenario: Scenario, own: Mapping[str, Size]) -> dict[str, set[Size]]:
    """Return the sizes that requests may have, as far as the scenario says it, by model."""
    asked: dict[str, set[Size]] = {name: set() for name in scenario.models}
    for kind in scenario.workload.mix or tuple(MixEntry(model=name) for name in scenario.models):
        models = scenario.models_of(None if kind.model == ANY_MODEL else kind.model)
        for model in models:
            asked[model] |= {parse_size(size, "") for size in kind.sizes} or {
                own[kind.model if kind.model in own else model]
            }
    return asked


def _control(scenario: Scenario, policies: Policies, gates: Mapping[str, GateFile | None]) -> ControlConfig:
    limits = scenario.limits
    return ControlConfig(
        max_waiting=limits.max_waiting,
        max_attempts=limits.max_attempts,
        lookahead_rows=limits.lookahead_rows,
        orphan_wait_s=limits.orphan_wait_s,
        policies=policies,
        cascades=tuple(entry.cascade(_router_of(gates[entry.name])) for entry in scenario.cascades),
    )


def _router_of(gate: GateFile | None) -> Router | None:
    """Return the router in a gate's file, if it has one; raises BadScenario if it cannot be used."""
    if gate is None:
        return None
    try:
        return Router.from_arrays(cast("Mapping[str, Numbers]", gate.router))
    except ValueError as error:
        raise BadScenario(f"has a router that cannot be used: {error}.", place=f"gate {gate.card.name!r}") from error


def _workers(group: WorkerGroup, served: Mapping[str, ServedModel]) -> list[SimulatedWorker]:
    tiers = _load_tiers(group, served)
    models = tuple(SimulatedModel(spec=each.spec, profile=each.profile) for each in served.values())
    return [
        SimulatedWorker(
            name=name,
            models=models,
            max_denoiser_rows=rows_per_call(group, served),
            adapter_capacity=_capacity(group),
            startup_s=group.startup_s,
            starts_ready=group.starts_ready,
            speed=group.speed,
            load_tiers=tiers,
            transfer_s_per_byte=group.transfer_s_per_byte,
        )
        for name in group.worker_names
    ]


def _load_tiers(group: WorkerGroup, served: Mapping[str, ServedModel]) -> LoadTiers:
    """Return the costs that the group has, or those of the first profile that has some."""
    known = [
        group.load_tiers,
        *(model.profile.loads for model in served.values() if model.profile.loads != LoadTimes()),
    ]
    costs = next((each for each in known if each is not None), LoadTimes())
    return LoadTiers(remote=_cost(costs.remote), disk=_cost(costs.disk), host=_cost(costs.host))


def _cost(cost: TierCost | LoadTime) -> LoadCost:
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


def _sizes(scenario: Scenario, served: Served) -> dict[str, Size]:
    """Return the own size of each model and cascade."""
    own = {name: (model.spec.width, model.spec.height) for group in served.values() for name, model in group.items()}
    return {name: own[scenario.largest_model_of(name)] for name in scenario.served_names}


def _solo_time(scenario: Scenario, served: Served) -> "_SoloTime":
    return _SoloTime(
        served=tuple((group.speed, served[group.name]) for group in scenario.fleet),
        known={},
    )


@dataclass(frozen=True, kw_only=True)
class _SoloTime:
    """Seconds of a request alone on the fastest worker."""

    served: tuple[tuple[float, Mapping[str, ServedModel]], ...]
    known: dict[Alone, float]

    def __call__(self, alone: Alone) -> float:
        if alone not in self.known:
            self.known[alone] = min(
                models[alone.model].solo_s(alone) / speed for speed, models in self.served if alone.model in models
            )
        return self.known[alone]


def _quality(scenario: Scenario, served: Served) -> QualityOf:
    profiles = {name: model.profile for group in served.values() for name, model in group.items()}

    def quality_of(level: Level) -> float | None:
        own = scenario.models[level.model].quality_at(level.steps)
        if own is not None and level.start is None:
            return own
        return profiles[level.model].quality_of(steps=level.steps, first_step=level.first_step)

    return quality_of


def _gain_of(scenario: Scenario, served: Served, *, seed: int) -> GainOf | None:
    """Return that of the only cascade, if its mix is known as a whole and so are the qualities of both its models."""
    entries, quality_of = scenario.cascades, _quality(scenario, served)
    of_start = None if scenario.reuse is None else _gain_of_starts(served)
    if len(entries) != 1 or not entries[0].tells_pictures_apart:
        return of_start
    (entry,) = entries
    models = [group[name] for group in served.values() for name in (entry.light, entry.heavy) if name in group]
    if any(quality_of(model.level(model.spec.steps, None)) is None for model in models):
        return of_start

    def gain_of(outcome: Outcome) -> float:
        if outcome.reused is not None and of_start is not None:
            return of_start(outcome)
        return entry.gain_of(outcome.request, outcome.level.model, seed=seed)

    return gain_of


def _gain_of_starts(served: Served) -> GainOf:
    """Return by how much a picture from a start of its similarity is better than one from the same caption."""
    profiles = {name: model.profile for group in served.values() for name, model in group.items()}

    def gain_of(outcome: Outcome) -> float:
        level, reused = outcome.level, outcome.reused
        if reused is None or reused.tier == "exact":
            return 0.0
        profile = profiles[level.model]
        alike = profile.quality_of(steps=level.steps, first_step=level.first_step)
        known = profile.quality_from(reused.similarity, steps=level.steps, first_step=level.first_step)
        return 0.0 if alike is None or known is None else known - alike

    return gain_of


def _quality_of_mix(scenario: Scenario) -> QualityOfMix | None:
    """Return that of the only cascade, if it has a curve."""
    entries = scenario.cascades
    return entries[0].quality_of_mix if len(entries) == 1 and entries[0].mix_quality else None
