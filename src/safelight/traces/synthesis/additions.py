"""What other sources add to a synthesized trace: work, prompts and deadlines."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from safelight.shapes.caption import caption_of
from safelight.shapes.sampling import draw_scene
from safelight.traces.errors import CannotSynthesize

WORK = (
    *("task", "width", "height", "steps", "frames", "fps", "images", "guidance_scale", "sampler"),
    *("duration_s", "compute_s"),
)
"""What is drawn from one request together, since it belongs together."""

MOST_CAPTIONS = 10_000


def join_work(table: pl.DataFrame, source: pl.LazyFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Give each request the size, the steps and the times of a finished request of another trace, drawn at random.

    Which adapters a request has makes no difference to what is drawn for it.

    Raises:
        CannotSynthesize: if no request of the source tells how long it took.
    """
    is_finished = (pl.col("status") == "finished").fill_null(value=True) & pl.col("duration_s").is_not_null()
    work = source.filter(is_finished).select(WORK).collect()
    if work.is_empty():
        raise CannotSynthesize("No request of the trace to take durations from tells how long it took.")
    known = [column for column in work if column.null_count() < len(work)]
    return table.with_columns(pl.DataFrame(known)[rng.integers(len(work), size=len(table))])


def join_prompts(table: pl.DataFrame, prompts: Sequence[str], rng: np.random.Generator) -> pl.DataFrame:
    """Give each request one of some prompts, drawn at random; raises CannotSynthesize if there is none."""
    if not prompts:
        raise CannotSynthesize("There is no prompt to draw; give one in each line.")
    drawn = pl.Series("prompt", prompts).gather(rng.integers(len(prompts), size=len(table)))
    return table.with_columns(drawn, prompt_id=pl.lit(None, pl.String))


def captions(count: int, rng: np.random.Generator) -> list[str]:
    """Return captions of random scenes of one or two objects, in the grammar of the shipped models."""
    objects = rng.integers(1, 2, size=min(count, MOST_CAPTIONS), endpoint=True)
    return [caption_of(draw_scene(rng, objects=number).description) for number in objects.tolist()]


def join_deadlines(table: pl.DataFrame, *, seconds: float | None = None, times: float | None = None) -> pl.DataFrame:
    """Give each request a deadline: a number of seconds after its arrival, or its duration times a number.

    Raises:
        CannotSynthesize: if durations are asked for and not all requests have one.
    """
    if seconds is not None:
        return table.with_columns(deadline_s=pl.lit(seconds))
    if table["duration_s"].null_count():
        raise CannotSynthesize("Deadlines from durations need durations; draw them with --durations-from.")
    return table.with_columns(deadline_s=pl.col("duration_s") * times)
