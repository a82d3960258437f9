"""What a run leaves out because no figures tell it; these sentences stand beside its results."""

from collections.abc import Mapping, Sequence

import polars as pl

from safelight.profiles.profile import Profile
from safelight.simulator.scenario.faults import FaultEntry
from safelight.simulator.scenario.fleet import WorkerGroup
from safelight.simulator.simulation import LoadTiers, SimulatedAdapter


def costless(
    group: WorkerGroup, profiles: Mapping[str, Profile], adapters: Sequence[SimulatedAdapter], tiers: LoadTiers
) -> list[str]:
    """Return a sentence for each kind of work with adapters that takes no time, because nothing says how much it takes.

    Args:
        group: of workers.
        profiles: of its models, by name.
        adapters: of all models.
        tiers: what loads cost in this group.
    """
    used = sorted({(each.spec.model, each.spec.kind) for each in adapters if each.spec.model in profiles})
    where, notes = f"on {group.name!r}", []
    for model, kind in used:
        profile = profiles[model]
        if kind == "lora" and profile.adapter_costs is None:
            notes.append(f"LoRAs of {model!r} add no time to calls {where}: its profile has no `adapter_costs`.")
        if kind == "controlnet" and not profile.has_controlnet_times:
            notes.append(f"ControlNets of {model!r} add no time to calls {where}: its profile has no such times.")
    if used and tiers == LoadTiers():
        notes.append(f"Loads of adapters take no time {where}: neither its `load_tiers` nor a profile has seconds.")
    return notes


def adapters_left_out(table: pl.DataFrame | None, replaced: Sequence[str]) -> list[str]:
    """Return a sentence for each kind of adapters that requests of a trace use, but that it does not name.

    Args:
        table: of the trace, in the canonical columns; None for requests that no trace has.
        replaced: what the scenario replaces.
    """
    if table is None or "adapters" in replaced:
        return []
    notes = []
    for kind in ("loras", "controlnets"):
        names = pl.col(kind).list.eval(pl.element().struct.field("name").is_null())
        count = table.select(names.list.any().sum()).item()
        if count:
            share = f"{count:,} of {len(table):,} requests"
            notes.append(f"{share} use {kind} that the trace does not name; they run without these.")
    return notes


def faults_left_out(faults: Sequence[FaultEntry], end_s: float) -> list[str]:
    """Return a sentence for each fault that would have come after the end of a run."""
    return [
        f"The fault `{fault.kind}` of {fault.worker!r} at {fault.at_s:g} s comes after the end of some runs."
        for fault in faults
        if fault.at_s > end_s
    ]


def metric_of(metrics: Mapping[str, str]) -> str:
    """Return what qualities mean, by the metric of each model that has one; several are named with their models."""
    if len(set(metrics.values())) <= 1:
        return next(iter(metrics.values()), "")
    each = "; ".join(f"{metric} of {model!r}" for model, metric in metrics.items())
    return f"of unlike metrics, whose mean means nothing: {each}"
