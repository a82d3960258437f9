"""Writes the records of requests as a trace."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from safelight.bench.failures import RETRYABLE
from safelight.bench.records import CANCELLED, Record
from safelight.bench.requests import TRACE_TASK_NAMES, RequestedAdapter, Task
from safelight.bench.run import Run
from safelight.traces.converting import passing
from safelight.traces.schema import ADAPTERS, SCHEMA
from safelight.traces.writing import write_trace

AT_A_TIME = 5_000

Column = Callable[[Record], Any]


def tables_of(runs: Sequence[Run], *, task: Task) -> Iterator[pl.DataFrame]:
    """Yield the canonical table in parts, which limits memory.

    Arrival times are Unix time: the due times of requests that have some. Requests of a closed loop without due times
    arrive when the concurrency limit lets them through.
    """
    for run in runs:
        columns = _columns(run, task)
        for start in range(0, len(run.records), AT_A_TIME):
            records = run.records[start : start + AT_A_TIME]
            yield pl.DataFrame([_series(name, dtype, columns.get(name), records) for name, dtype in SCHEMA.items()])


def _series(name: str, dtype: pl.DataType, of: Column | None, records: Sequence[Record]) -> pl.Series:
    if of is None:
        return pl.Series(name, [None], dtype).new_from_index(0, len(records))
    values = [of(record) for record in records]
    return _adapter_lists(name, values) if dtype == ADAPTERS else pl.Series(name, values, dtype)


def _adapter_lists(name: str, values: Sequence[tuple[RequestedAdapter, ...]]) -> pl.Series:
    """Return a column of adapters; each distinct list is built once, since that is slow in polars."""
    indices = {adapters: index for index, adapters in enumerate(dict.fromkeys(values))}
    lists = [[msgspec.structs.asdict(adapter) for adapter in adapters] for adapters in indices]
    return pl.Series(name, lists, ADAPTERS).gather([indices[adapters] for adapters in values])


def _columns(run: Run, task: Task) -> Mapping[str, Column]:
    """Return for each column how it is computed from a record."""
    began_s = run.began_at
    times: dict[str, Column] = {
        "arrival_s": lambda record: began_s + record.released_s,
        "duration_s": lambda record: record.latency_s,
        "queue_s": lambda record: record.queue_s,
    }
    if run.has_hidden_waits:
        times = {
            "arrival_s": lambda record: began_s + record.due_s,
            "duration_s": lambda record: record.since_due_s,
            "queue_s": lambda record: None if record.queue_s is None else record.wait_s + record.queue_s,
        }
    return times | {
        "request_id": lambda record: record.request.request_id,
        "origin": lambda _: "recorded",
        "service": lambda record: record.request.service,
        "tenant": lambda record: record.request.tenant,
        "task": lambda _: TRACE_TASK_NAMES[task],
        "base_model": lambda _: run.config.options.model,
        "controlnets": lambda record: record.request.controlnets,
        "loras": lambda record: record.request.loras,
        "prompt": lambda record: record.request.prompt,
        "negative_prompt": lambda record: record.request.negative_prompt,
        "inputs": lambda record: [each.name for each in record.request.inputs] or None,
        "width": lambda record: record.request.shape.width,
        "height": lambda record: record.request.shape.height,
        "steps": lambda record: record.request.shape.steps,
        "frames": lambda record: record.request.shape.frames,
        "fps": lambda record: record.request.fps,
        "images": lambda _: 1,
        "guidance_scale": lambda record: record.request.guidance_scale,
        "seed": lambda record: record.request.seed,
        "deadline_s": lambda record: record.request.deadline_s,
        "status": _status,
        "reason": lambda record: record.failure or None,
        "compute_s": lambda record: record.compute_s,
        "retries": lambda record: record.turned_away - (record.failure in RETRYABLE),
    }


def write_log(runs: Sequence[Run], path: Path, *, task: Task, to_format: str) -> Sequence[str]:
    """Write the records of runs, and return sentences about what the format cannot hold; raises CannotWrite."""
    frame = passing(tables_of(runs, task=task))
    return write_trace(frame, path, to_format=to_format, source="safelight bench")


def _status(record: Record) -> str:
    if record.is_success:
        return "finished"
    return record.failure if record.failure in {CANCELLED, "rejected"} else "failed"
