"""`safelight trace synthesize`: requests that are made up after others."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from safelight.cli.console import notes, progress_bar
from safelight.cli.errors import Misuse
from safelight.cli.trace.trace_files import Lenient, opened, print_notes
from safelight.core.errors import nearest, shorten

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from safelight.traces.synthesis.template import ServiceTemplate

PUBLISHED = {"katz-a": "A", "katz-b": "B", "katz": "AB"}
"""Names of published traces, and their services."""

SHAPES = "shapes"

EXAMPLES = (
    "Examples:\n\nsafelight trace synthesize --like katz-a --seed 1 -o a.json\n\n"
    "safelight trace synthesize --like katz --requests 10000 --instances 8 -o small.parquet\n\n"
    "safelight trace synthesize --like mine.parquet --rate-scale 2 --bursts 5 -o busy.jsonl\n\n"
    "safelight trace synthesize --like katz-b --durations-from gentd26.csv --deadlines 2x --prompts shapes -o b.parquet"
)


Like = Annotated[str, typer.Option(metavar="katz-a|katz-b|katz|FILE", help="The trace to be like.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")]
Requests = Annotated[int | None, typer.Option(min=1, metavar="N", help="How many; else as many as there.")]
Instances = Annotated[
    int | None,
    typer.Option(min=1, metavar="M", help="How many serve them; else as many as there, or in proportion to N."),
]
Seed = Annotated[int, typer.Option(min=0, metavar="S", help="The same seed gives the same requests.")]
Format = Annotated[
    str | None, typer.Option("--format", metavar="NAME", help="parquet, jsonl, katz, diffserve or omni.")
]
RateScale = Annotated[float, typer.Option(metavar="X", help="Requests of an instance arrive X times as fast.")]
Skew = Annotated[
    float, typer.Option(metavar="X", help="Raise the popularity of LoRAs to this power; 0 makes all alike.")
]
Swing = Annotated[
    float, typer.Option(metavar="A", help="Add a daily swing of the rate by this share of it, from 0 to 1.")
]
Bursts = Annotated[
    float, typer.Option(metavar="X", help="Add bursts, in which requests arrive X times as fast as between them.")
]
DurationsFrom = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Draw sizes, steps and durations from the finished requests of this trace."),
]
Prompts = Annotated[
    str | None,
    typer.Option(metavar="shapes|FILE", help="Draw prompts from the grammar of the shipped models, or a file's lines."),
]
Deadlines = Annotated[
    str | None, typer.Option(metavar="S|Xx", help="Deadlines of S seconds, or of X times the duration, as in 2x.")
]


def synthesize(
    *,
    like: Like,
    output: Output,
    requests: Requests = None,
    instances: Instances = None,
    seed: Seed = 0,
    to_format: Format = None,
    rate_scale: RateScale = 1.0,
    skew: Skew = 1.0,
    diurnal: Swing = 0.0,
    bursts: Bursts = 1.0,
    durations_from: DurationsFrom = None,
    prompts: Prompts = None,
    deadlines: Deadlines = None,
    lenient: Lenient = False,
) -> None:
    """Make up requests like those of another trace.

    Every row says that it is synthesized. What is matched, and what is not known, stands in docs/traces.md.
    """
    import numpy as np

    from safelight.traces.errors import BadArrivals, CannotSynthesize, UnknownFormat
    from safelight.traces.synthesis.synthesize import SynthesisOptions
    from safelight.traces.synthesis.synthesize import synthesize as synthesize_trace
    from safelight.traces.writing import format_of, write_trace

    allowed = _allowed(deadlines) if deadlines is not None else {}
    try:
        chosen = format_of(output, to_format)
        wishes = SynthesisOptions(
            requests=requests, instances=instances, rate_scale=rate_scale, skew=skew, diurnal=diurnal, bursts=bursts
        )
        likenesses = _likenesses(like, lenient=lenient)
        work = opened(durations_from, lenient=lenient).frame if durations_from is not None else None
        rng = np.random.default_rng([seed, len(likenesses)])
        drawn = _prompts(prompts, rng) if prompts is not None else None
        with progress_bar("synthesizing"):
            table = _joined(synthesize_trace(likenesses, wishes, seed=seed), work, drawn, allowed, rng)
            lost = write_trace(table.lazy(), output, to_format=chosen, source=f"synthesized like {like}, seed {seed}")
    except (BadArrivals, CannotSynthesize, UnknownFormat) as error:
        raise Misuse(str(error)) from None
    print_notes({}, lost)
    notes.print(f"{escape(str(output))}: {len(table):,} synthesized requests", soft_wrap=True)


def _likenesses(like: str, *, lenient: bool) -> "Sequence[ServiceTemplate]":
    """Return what is named, or the services of the trace that lies there."""
    from safelight.traces.synthesis.katz_template import KatzTemplate
    from safelight.traces.synthesis.recorded_template import recorded_templates

    if like in PUBLISHED:
        return [KatzTemplate(service) for service in PUBLISHED[like]]
    if not Path(like).exists():
        raise Misuse(f"There is no trace named {shorten(like)}, and no such file; {nearest(like, list(PUBLISHED))}")
    return recorded_templates(opened(Path(like), lenient=lenient).frame)


def _prompts(prompts: str, rng: "np.random.Generator") -> Sequence[str]:
    """Return prompts to draw from."""
    from safelight.traces.synthesis.additions import MOST_CAPTIONS, captions

    if prompts == SHAPES:
        return captions(MOST_CAPTIONS, rng)
    try:
        lines = Path(prompts).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise Misuse(f"{prompts!r} is not UTF-8: {error}.") from None
    except FileNotFoundError:
        raise Misuse(f"There is no file {shorten(prompts)} with prompts; {SHAPES!r} needs none.") from None
    return [line for line in lines if line.strip()]


def _allowed(deadlines: str) -> dict[str, float]:
    """Parse a deadline into arguments of `join_deadlines`."""
    unit = "times" if deadlines.endswith("x") else "seconds"
    try:
        value = float(deadlines.removesuffix("x"))
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise Misuse(f"--deadlines is {shorten(deadlines)}; give seconds, as in 30, or times the duration, as in 2x.")
    return {unit: value}


def _joined(
    table: "pl.DataFrame",
    work: "pl.LazyFrame | None",
    prompts: Sequence[str] | None,
    allowed: dict[str, float],
    rng: "np.random.Generator",
) -> "pl.DataFrame":
    from safelight.traces.synthesis.additions import join_deadlines, join_prompts, join_work

    if work is not None:
        table = join_work(table, work, rng)
    if prompts is not None:
        table = join_prompts(table, prompts, rng)
    return join_deadlines(table, **allowed) if allowed else table
