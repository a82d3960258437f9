"""What became of each request, as rows of the table of traces."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from safelight.bench.asks import CANONICAL, Task
from safelight.bench.load import CANCELLED
from safelight.bench.records import Record
from safelight.bench.running import Run
from safelight.traces.schema import SCHEMA
from safelight.traces.writing import write_trace


def table_of(run: Run, *, task: Task) -> pl.DataFrame:
    """Return the canonical table; arrivals are Unix time."""
    records = run.records
    asks = [record.ask for record in records]
    columns: dict[str, list[Any]] = {
        "request_id": [ask.request_id for ask in asks],
        "origin": ["recorded"] * len(asks),
        "arrival_s": [run.began_at + record.freed_s for record in records],
        "service": [ask.service for ask in asks],
        "tenant": [ask.tenant for ask in asks],
        "task": [CANONICAL[task]] * len(asks),
        "base_model": [run.plan.manner.model] * len(asks),
        "controlnets": [[{"name": use.name, "scale": use.scale} for use in ask.controlnets] for ask in asks],
        "loras": [[{"name": use.name, "scale": use.scale} for use in ask.loras] for ask in asks],
        "prompt": [ask.prompt for ask in asks],
        "negative_prompt": [ask.negative_prompt for ask in asks],
        "inputs": [[each.name for each in ask.inputs] if ask.inputs else None for ask in asks],
        "width": [ask.shape.width for ask in asks],
        "height": [ask.shape.height for ask in asks],
        "steps": [ask.shape.steps for ask in asks],
        "frames": [ask.shape.frames for ask in asks],
        "fps": [ask.fps for ask in asks],
        "images": [1] * len(asks),
        "guidance_scale": [ask.guidance_scale for ask in asks],
        "seed": [ask.seed for ask in asks],
        "deadline_s": [ask.deadline_s for ask in asks],
        "status": [_status(record) for record in records],
        "reason": [record.failure or None for record in records],
        "duration_s": [record.latency_s for record in records],
        "queue_s": [record.queue_s for record in records],
        "compute_s": [record.compute_s for record in records],
        "retries": [record.turned_away - (record.failure in {"rejected", "unavailable"}) for record in records],
    }
    series = [pl.Series(name, columns.get(name, [None] * len(asks)), dtype) for name, dtype in SCHEMA.items()]
    return pl.DataFrame(series)


def write_log(runs: Sequence[Run], path: Path, *, task: Task, to_format: str) -> Sequence[str]:
    """Write the tables of runs, and return in sentences what the format had no place for; raises CannotWrite."""
    table = pl.concat([table_of(run, task=task) for run in runs])
    return write_trace(table.lazy(), path, to_format=to_format, source="safelight bench")


def _status(record: Record) -> str:
    if record.is_success:
        return "finished"
    return record.failure if record.failure in {CANCELLED, "rejected"} else "failed"
