"""The section on routing of a trace's report."""

from collections.abc import Sequence

from safelight.reports.page import Tile
from safelight.reports.result import Result
from safelight.simulator.trace_routing.analysis import NAME, RECORDED, routing
from safelight.traces.report.contents import CONTENTS, ReportSection


def _tiles(result: Result) -> Sequence[Tile]:
    """Return what a request loads as it was routed, and with affinity."""
    if result.table.is_empty():
        return ()
    return [
        Tile(label=f"LoRA loads per request, {words}", value=f"{row['lora_loads_per_request']:.2f}")
        for name, words in ((RECORDED, "as routed"), ("affinity", "simulated by affinity"))
        for row in result.table.filter(routing=name).head(1).iter_rows(named=True)
    ]


WITH_ROUTING: Sequence[ReportSection] = (
    *CONTENTS,
    ReportSection(ask=lambda frame, _: routing(frame), command=(NAME,), tiles=_tiles),
)
"""All sections of a report that the command line writes."""
