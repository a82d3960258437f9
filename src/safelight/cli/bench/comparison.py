"""`safelight bench compare`."""

from dataclasses import asdict
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from safelight.bench.formatting import format_seconds
from safelight.bench.stats.comparison import (
    RATES,
    SHARES,
    Difference,
    cautions,
    compare,
    compare_intervals,
    summary_of,
)
from safelight.bench.stats.result_file import read_result
from safelight.cli.bench.display import print_table


def print_comparison(a: Path, b: Path, *, as_json: bool) -> None:
    """Print the comparison of B with A; raises BadResult."""
    of_a, of_b = read_result(a), read_result(b)
    differences = [*compare(of_a.latencies_of_runs, of_b.latencies_of_runs), *compare_intervals(of_a, of_b)]
    summary, notes = summary_of(differences), cautions(of_a, of_b)
    if as_json:
        differences_json = [asdict(each) | {"verdict": each.verdict} for each in differences]
        print(msgspec.json.encode({"summary": summary, "cautions": notes, "differences": differences_json}).decode())
        return
    table = Table(box=None, pad_edge=False)
    for name in ("", "A", "B", "B to A", "95 % interval", "B better", ""):
        table.add_column(name, justify="right" if name else "left")
    for each in differences:
        table.add_row(each.name, *_compared(each), f"{100 * each.chance:.1f} %", each.verdict if each.is_sure else "")
    console = Console(highlight=False)
    console.print(f"[bold]{escape(summary)}[/bold]", soft_wrap=True)
    print_table(table)
    for note in notes:
        console.print(escape(note), soft_wrap=True)


def _compared(each: Difference) -> tuple[str, str, str, str]:
    """Return both values, their ratio or difference, and its interval."""
    low, high = each.bounds
    a, b = _formatted(each.name, each.of_a), _formatted(each.name, each.of_b)
    if each.difference is not None:
        return a, b, f"{100 * each.difference:+.3g} points", f"{100 * low:+.3g} to {100 * high:+.3g}"
    return a, b, f"x {each.ratio:.3f}", f"{low:.3f} to {high:.3f}"


def _formatted(name: str, value: float) -> str:
    if name in SHARES:
        return f"{100 * value:.4g} %"
    return f"{value:.4g}/s" if name in RATES else format_seconds(value)
