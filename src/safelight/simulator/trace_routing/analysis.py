"""What other routing policies, and fewer instances, would cost for the requests of a trace."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safelight.control.policies import members
from safelight.control.routing.affinity import Affinity
from safelight.control.routing.protocol import RoutingPolicy
from safelight.control.routing.soonest_finish import SoonestFinish
from safelight.reports.formatting import format_count, format_duration
from safelight.reports.result import Result, result_without_data
from safelight.reports.style import INK, SERIES, label_ends, panel
from safelight.simulator.trace_routing.replay import replay
from safelight.simulator.trace_routing.traffic import Traffic, traffic_of
from safelight.simulator.trace_routing.what_if import WhatIf, measure
from safelight.traces.analyses.windows import span_of
from safelight.traces.usage import Usage, usages

NAME, TITLE = "routing", "Other routing, and fewer instances, simulated"

RECORDED = "recorded"
HALVINGS = 4
WITHOUT_INSTANCES = 16
"""So many instances, and halves of them, are tried where the trace names no instances."""


def routing(
    frame: pl.LazyFrame, what_if: WhatIf | None = None, *, policies: Sequence[RoutingPolicy] | None = None
) -> Result:
    """Simulate the routing of a service's requests by several policies, and replay the caches of the instances.

    Policies see how many requests an instance has not finished. Loads of adapters do not change that number.

    Args:
        frame: requests of one service, in order of arrival.
        what_if: `WhatIf()` if not given.
        policies: to be compared; `replayed_policies()` if not given.
    """
    what_if = what_if or WhatIf()
    if span_of(frame) is None:
        return result_without_data(NAME, TITLE, "No request has a time of arrival, so none can be routed.")
    (usage,) = usages(frame)
    if not {*usage.controlnets.ids.names, *usage.loras.ids.names} - {None}:
        return result_without_data(NAME, TITLE, "No request names an adapter, so routing would not change any loads.")
    traffic = traffic_of(frame, work_s=what_if.work_s)
    table = pl.DataFrame(list(_rows(usage, traffic, what_if, policies or replayed_policies())))
    findings = tuple(_findings(table, traffic, what_if))
    return Result(name=NAME, title=TITLE, table=table, findings=findings, draw=lambda figure: _draw(figure, table))


def replayed_policies() -> Sequence[RoutingPolicy]:
    """Return all routing policies, also those of installed packages, except `SoonestFinish`.

    That one chooses as `least-work` does where workers run one request at a time.

    Raises:
        ExtensionError: if an installed one cannot be used.
    """
    return [policy for policy in members("routing") if not isinstance(policy, SoonestFinish)]


def _rows(
    usage: Usage, traffic: Traffic, what_if: WhatIf, policies: Sequence[RoutingPolicy]
) -> Iterator[dict[str, str | int | float | None]]:
    known = _recorded(usage)
    if known:
        chosen = usage.instances.codes.astype(np.int64)
        yield {"routing": RECORDED, **measure(usage, traffic, chosen, known, what_if)}
    for policy in policies:
        bounded = replace(policy, bound=what_if.bound) if isinstance(policy, Affinity) else policy
        for instances in what_if.instances or _halves(known or WITHOUT_INSTANCES):
            chosen = replay(bounded, traffic, instances, places=what_if.size)
            yield {"routing": policy.name, **measure(usage, traffic, chosen, instances, what_if)}


def _recorded(usage: Usage) -> int:
    """Return how many instances the trace names."""
    names = usage.instances.names
    return 0 if list(names) == [None] else len(names)


def _halves(instances: int) -> list[int]:
    return sorted({max(1, round(instances / 2**halvings)) for halvings in range(HALVINGS + 1)}, reverse=True)


def _findings(table: pl.DataFrame, traffic: Traffic, what_if: WhatIf) -> Iterator[str]:
    rows = sorted(table.iter_rows(named=True), key=_lost_s)
    tried = [row for row in rows if row["routing"] != RECORDED]
    recorded = next((row for row in rows if row["routing"] == RECORDED), None)
    if recorded:
        yield f"As recorded, on {format_count(recorded['instances'], 'instance')}, {_costs(recorded)}."
    most = max(row["instances"] for row in tried)
    best, *others = [row for row in tried if row["instances"] == most]
    yield f"On {format_count(most, 'instance')}, {best['routing']} loses least: {_costs(best)}."
    if others:
        yield f"With {others[-1]['routing']}, which loses most, it loses {format_duration(_lost_s(others[-1]))}."
    if recorded and (enough := [row for row in tried if _lost_s(row) <= _lost_s(recorded)]):
        few = min(enough, key=lambda row: row["instances"])
        yield (
            f"With {few['routing']}, {format_count(few['instances'], 'instance')} would lose no more than was recorded."
        )
    yield _assumed(traffic, what_if)


def _costs(row: dict[str, Any]) -> str:
    loads = f"{row['lora_loads_per_request']:.3g} LoRAs and {row['controlnet_loads_per_request']:.3g} ControlNets"
    waits = format_duration(row["wait_s_per_request"])
    return f"a request loads {loads} and loses {format_duration(_lost_s(row))}, {waits} of it waiting for others"


def _lost_s(row: dict[str, Any]) -> float:
    return float(row["load_s_per_request"] + row["wait_s_per_request"])


def _assumed(traffic: Traffic, what_if: WhatIf) -> str:
    busy = ""
    if length_s := float(traffic.arrivals_s[-1] - traffic.arrivals_s[0]):
        busy = f", so that work without loads would keep {traffic.work_s.sum() / length_s:.3g} instances busy"
    of_lora, of_controlnet = (format_duration(what_if.load_s[kind]) for kind in ("loras", "controlnets"))
    return (
        f"All figures are simulated. Caches are LRU with {what_if.size:,} places for each kind; they load a LoRA in "
        f"{of_lora}, a ControlNet in {of_controlnet}. A request without a duration takes "
        f"{format_duration(what_if.work_s)}{busy}."
    )


def _draw(figure: Figure, table: pl.DataFrame) -> None:
    lost = (pl.col("load_s_per_request") + pl.col("wait_s_per_request")).alias("lost_s")
    shown = table.with_columns(lost).sort("instances")
    panels = {
        "lora_loads_per_request": "simulated LoRA loads per request",
        "lost_s": "simulated seconds per request, loads and waits",
    }
    for number, (column, label) in enumerate(panels.items(), 1):
        _draw_panel(panel(figure, position=(1, 2, number), x="instances", y=label), shown, column)


def _draw_panel(axes: Axes, table: pl.DataFrame, column: str) -> None:
    names = [name for name in table["routing"].unique(maintain_order=True) if name != RECORDED]
    for name, color in zip(names, cycle(SERIES), strict=False):
        rows = table.filter(routing=name)
        axes.semilogx(rows["instances"], rows[column], "o-", base=2, color=color, markersize=4)
    axes.set_ylim(bottom=0)
    counts = table["instances"].unique().sort().to_list()
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    label_ends(axes, names)
    for instances, value in table.filter(routing=RECORDED).select("instances", column).rows():
        axes.plot(instances, value, "D", color=INK, markersize=5)
        axes.annotate(
            RECORDED, (instances, value), (-8, 0), textcoords="offset points", ha="right", va="center", fontsize=8.5
        )
