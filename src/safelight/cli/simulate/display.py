"""Shows simulated runs: progress on standard error, tables at the end."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from safelight.cli.console import notes
from safelight.simulator.results.documents import SimulationDocument
from safelight.simulator.results.fidelity import FidelityDocument
from safelight.simulator.results.text import TextTable, fidelity_table_of, tables_of
from safelight.simulator.running.progress import OnProgress, RunProgress


@contextmanager
def shown_progress(runs: int) -> Iterator[OnProgress]:
    """Show the progress of all runs if standard error is a terminal; yields the callback."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[summary]}"),
        console=notes,
        transient=True,
        disable=not notes.is_terminal,
    ) as bar:
        task = bar.add_task("simulating", total=float(runs), summary="")
        shares: dict[int, float] = {}

        def on_progress(progress: RunProgress) -> None:
            shares[progress.number] = progress.share
            name = f"simulating, run {progress.number + 1} of {runs}" if runs > 1 else "simulating"
            summary = f"{progress.now_s:,.0f} virtual s, {progress.ended:,} requests ended"
            bar.update(task, description=name, completed=sum(shares.values()), summary=summary)

        yield on_progress


def print_tables(document: SimulationDocument) -> None:
    """Print one table for each load."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{escape(document.title)}[/bold]: all figures are simulated")
    if document.quality_metric:
        console.print(f"quality: {escape(document.quality_metric)}")
    for note in document.notes:
        console.print(f"[yellow]note[/yellow]: {escape(note)}")
    for table in tables_of(document):
        console.print()
        console.print(f"[bold]{escape(table.title)}[/bold]")
        _print(table, console)


def print_fidelity(document: FidelityDocument) -> None:
    """Print what was measured beside what is predicted."""
    console = Console(highlight=False, soft_wrap=True)
    table = fidelity_table_of(document)
    console.print(f"[bold]{escape(table.title)}[/bold]")
    for note in document.notes:
        console.print(f"[yellow]note[/yellow]: {escape(note)}")
    _print(table, console)


def _print(table: TextTable, console: Console) -> None:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(table.headings):
        shown.add_column(escape(heading), justify="right" if number else "left", no_wrap=True)
    for row in table.rows:
        shown.add_row(*map(escape, row))
    cells = [table.headings, *table.rows]
    width = sum(max(map(len, column)) + 3 for column in zip(*cells, strict=True))
    Console(highlight=False, width=max(console.width, width)).print(shown)
