"""Requests of traces, in any format that `traces` reads."""

import glob
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from safelight.bench.datasets.dataset import DatasetOptions, LoadedRequests
from safelight.bench.datasets.digest import sha256_of_files
from safelight.bench.datasets.published import kept
from safelight.bench.datasets.trace_checks import problem_of
from safelight.bench.errors import BadLoad
from safelight.bench.media.inputs import Input, InputReader
from safelight.bench.requests import LoadRequest, RequestedAdapter, Shape
from safelight.core.errors import shorten
from safelight.traces.errors import BadTrace
from safelight.traces.readers.omni import OMNI
from safelight.traces.reading import Trace, open_trace
from safelight.traces.source import HEAD_BYTES

COLUMNS = (
    *("request_id", "arrival_s", "service", "tenant", "controlnets", "loras", "prompt", "negative_prompt"),
    *("prompt_id", "inputs", "strength", "width", "height", "steps", "frames", "fps"),
    *("guidance_scale", "seed", "deadline_s"),
)

OTHERWISE = (
    "Name a trace with --dataset-path, or make one up: "
    "safelight trace synthesize --like katz --requests 100 --prompts shapes -o trace.parquet; "
    "--dataset random needs no file."
)


def read_trace(wanted: DatasetOptions) -> LoadedRequests:
    """Read the first requests of a trace, the published one if none is named; there are no more than it has.

    Raises:
        BadLoad: if there is none, or one that cannot be sent.
        TraceError: if it cannot be read.
    """
    if wanted.path is None:
        file = kept("trace", wanted.task, wanted.sources, check=_checker(wanted), otherwise=OTHERWISE)
        paths, told = [file.path], [file.note]
    else:
        paths, told = _paths(wanted.path), []
    traces = [open_trace(path, lenient=wanted.is_lenient) for path in paths]
    frames = [trace.frame.select(*COLUMNS, trace=pl.lit(number)) for number, trace in enumerate(traces)]
    rows = pl.concat(frames).head(wanted.count).collect()
    fit = [_is_fit(row, number, wanted, traces) for number, row in enumerate(_named(rows))]
    if unfit := fit.count(False):
        told = [*told, f"left out {unfit:,} requests that cannot be sent"]
        rows = rows.filter(fit)
    if rows.is_empty():
        raise BadLoad(f"The trace {shorten(wanted.path or str(paths[0]))} has no request.")
    first_s: Any = rows["arrival_s"].min()
    has_times = not rows["arrival_s"].has_nulls()
    files = InputReader()
    requests = [
        _ask(row, number, first_s if has_times else None, wanted, _inputs(row, number, files, traces))
        for number, row in enumerate(_named(rows))
    ]
    if has_times:
        requests.sort(key=lambda request: request.due_s)
    notes = [*told, *_notes(traces, rows, wanted)]
    return LoadedRequests(requests=requests, has_times=has_times, sha256=sha256_of_files(paths), notes=notes)


def _checker(wanted: DatasetOptions) -> Callable[[Path, str], None]:
    """Return what raises BadTrace unless a file has lines of requests, and one at least."""

    def check(path: Path, name: str) -> None:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if not OMNI.recognises(head):
            raise BadTrace(f"it does not begin with Request(...), but with {shorten(head)}.")
        try:
            trace = open_trace(path, lenient=wanted.is_lenient)
        except BadTrace as error:
            raise BadTrace(str(error).replace(str(path), name)) from None
        if trace.frame.head(1).collect().is_empty():
            raise BadTrace("it has no request.")

    return check


def _paths(words: str) -> list[Path]:
    """Return the files of a list with commas, whose elements may have wildcards."""
    found = list[Path]()
    for part in words.split(","):
        matches = sorted(glob.glob(part)) if glob.has_magic(part) else [part]  # noqa: PTH207 - any path, not one below a folder
        if not matches:
            raise BadLoad(f"No file matches {shorten(part)}.")
        found += map(Path, matches)
    return found


def _named(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    return rows.iter_rows(named=True)


def _is_fit(row: dict[str, Any], number: int, wanted: DatasetOptions, traces: Sequence[Trace]) -> bool:
    """Say whether a row can be sent; raises BadLoad if it cannot, unless that is to be passed over."""
    problem = problem_of(row)
    if problem and not wanted.is_lenient:
        raise BadLoad(f"{_location(row, number, traces)}: {problem}. With --lenient, such requests are left out.")
    return not problem


def _location(row: dict[str, Any], number: int, traces: Sequence[Trace]) -> str:
    request = number + 1 if row["request_id"] is None else shorten(row["request_id"])
    return f"Request {request} of {shorten(str(traces[row['trace']].path))}"


def _inputs(row: dict[str, Any], number: int, files: InputReader, traces: Sequence[Trace]) -> tuple[Input, ...]:
    if not row["inputs"]:
        return ()
    folder = traces[row["trace"]].path.parent
    return files.read(row["inputs"], folder=folder, location=_location(row, number, traces))


def _ask(
    row: dict[str, Any], number: int, first_s: float | None, wanted: DatasetOptions, inputs: tuple[Input, ...]
) -> LoadRequest:
    overrides = wanted.shape.width is not None or wanted.shape.height is not None
    width, height = (wanted.shape.width, wanted.shape.height) if overrides else (row["width"], row["height"])
    prompt = row["prompt"]
    if prompt is None:
        prompt = f"Prompt {number if row['prompt_id'] is None else row['prompt_id']} of a trace"
    return LoadRequest(
        request_id=row["request_id"] or f"bench-{number}",
        due_s=0.0 if first_s is None else row["arrival_s"] - first_s,
        prompt=prompt,
        negative_prompt=row["negative_prompt"],
        shape=Shape(width, height, row["frames"] or wanted.shape.frames, row["steps"] or wanted.shape.steps),
        seed=wanted.seed if row["seed"] is None else row["seed"],
        fps=row["fps"] or wanted.fps,
        guidance_scale=row["guidance_scale"],
        extra=None if row["strength"] is None or wanted.task.startswith("t2") else {"strength": row["strength"]},
        loras=_uses(row["loras"], wanted),
        controlnets=_uses(row["controlnets"], wanted),
        inputs=inputs,
        deadline_s=row["deadline_s"],
        service=row["service"],
        tenant=row["tenant"],
    )


def _uses(adapters: Sequence[dict[str, Any]] | None, wanted: DatasetOptions) -> tuple[RequestedAdapter, ...]:
    if not wanted.uses_adapters:
        return ()
    return tuple(RequestedAdapter(each["name"], each["scale"]) for each in adapters or () if each["name"] is not None)


def _notes(traces: Sequence[Trace], rows: pl.DataFrame, wanted: DatasetOptions) -> Iterator[str]:
    for trace in traces:
        yield from trace.notes
        for reason, count in trace.dropped.items():
            yield f"left out {count:,} requests of {trace.path.name}: {reason}"
    if len(rows) < wanted.count:
        yield f"the trace has {len(rows):,} requests, fewer than the {wanted.count:,} that --num-prompts allows"
    if lacking := rows["prompt"].null_count():
        yield f"{lacking:,} requests of the trace have no prompt; a numbered one stands in"
    if wanted.uses_adapters and any(_has_unnamed(rows[name]) for name in ("controlnets", "loras")):
        yield "adapters of which the trace does not tell which they are were left out"


def _has_unnamed(adapters: pl.Series) -> bool:
    names = adapters.drop_nulls().list.explode(empty_as_null=False).struct.field("name")
    return names.has_nulls()
