"""Requests of traces, in any format that the package `traces` reads."""

import glob
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from safelight.bench.datasets.dataset import Dataset, DatasetOptions, LoadedRequests
from safelight.bench.datasets.digest import sha256_of_files
from safelight.bench.datasets.published import cached_file
from safelight.bench.datasets.trace_checks import problem_of
from safelight.bench.errors import BadLoad
from safelight.bench.media.inputs import Input, InputReader
from safelight.bench.media.shape import Shape
from safelight.bench.requests import LoadRequest, RequestedAdapter
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


def read_trace(options: DatasetOptions) -> LoadedRequests:
    """Read the first requests of a trace, by default of the published one; a trace is never repeated.

    Raises:
        BadLoad: if there are no requests, or one cannot be sent.
        TraceError: if the trace cannot be read.
    """
    if options.path is None:
        file = cached_file("trace", options.task, options.sources, check=_checker(options), otherwise=OTHERWISE)
        paths, notes = [file.path], [file.note]
    else:
        paths, notes = _paths(options.path), []
    traces = [open_trace(path, lenient=options.is_lenient) for path in paths]
    frames = [trace.frame.select(*COLUMNS, trace=pl.lit(number)) for number, trace in enumerate(traces)]
    rows = pl.concat(frames).head(options.count).collect()
    fit = [_is_fit(row, number, options, traces) for number, row in enumerate(_named(rows))]
    if unfit := fit.count(False):
        notes = [*notes, f"left out {unfit:,} requests that cannot be sent"]
        rows = rows.filter(fit)
    if rows.is_empty():
        raise BadLoad(f"The trace {shorten(options.path or str(paths[0]))} has no request.")
    first_s: Any = rows["arrival_s"].min()
    has_times = not rows["arrival_s"].has_nulls()
    files = InputReader()
    requests = [
        _request_of(row, number, first_s if has_times else None, options, _inputs(row, number, files, traces))
        for number, row in enumerate(_named(rows))
    ]
    if has_times:
        requests.sort(key=lambda request: request.due_s)
    notes = [*notes, *_notes(traces, rows, options)]
    return LoadedRequests(requests=requests, has_times=has_times, sha256=sha256_of_files(paths), notes=notes)


def _checker(options: DatasetOptions) -> Callable[[Path, str], None]:
    """Return a check that raises BadTrace unless a file has at least one line with a request."""

    def check(path: Path, name: str) -> None:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if not OMNI.recognises(head):
            raise BadTrace(f"it does not begin with Request(...), but with {shorten(head)}.")
        try:
            trace = open_trace(path, lenient=options.is_lenient)
        except BadTrace as error:
            raise BadTrace(str(error).replace(str(path), name)) from None
        if trace.frame.head(1).collect().is_empty():
            raise BadTrace("it has no request.")

    return check


def _paths(names: str) -> list[Path]:
    """Return the files of a comma-separated list, whose elements may have wildcards."""
    found = list[Path]()
    for part in names.split(","):
        matches = sorted(glob.glob(part)) if glob.has_magic(part) else [part]  # noqa: PTH207 - any path, not one below a folder
        if not matches:
            raise BadLoad(f"No file matches {shorten(part)}.")
        found += map(Path, matches)
    return found


def _named(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    return rows.iter_rows(named=True)


def _is_fit(row: dict[str, Any], number: int, options: DatasetOptions, traces: Sequence[Trace]) -> bool:
    """Return whether a row can be sent; raises BadLoad if it cannot and the options are not lenient."""
    problem = problem_of(row)
    if problem and not options.is_lenient:
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


def _request_of(
    row: dict[str, Any], number: int, first_s: float | None, options: DatasetOptions, inputs: tuple[Input, ...]
) -> LoadRequest:
    overrides = options.shape.width is not None or options.shape.height is not None
    width, height = (options.shape.width, options.shape.height) if overrides else (row["width"], row["height"])
    prompt = row["prompt"]
    if prompt is None:
        prompt = f"Prompt {number if row['prompt_id'] is None else row['prompt_id']} of a trace"
    return LoadRequest(
        request_id=row["request_id"] or f"bench-{number}",
        due_s=0.0 if first_s is None else row["arrival_s"] - first_s,
        prompt=prompt,
        negative_prompt=row["negative_prompt"],
        shape=Shape(width, height, row["frames"] or options.shape.frames, row["steps"] or options.shape.steps),
        seed=options.seed if row["seed"] is None else row["seed"],
        fps=row["fps"] or options.fps,
        guidance_scale=row["guidance_scale"],
        extra=None if row["strength"] is None or options.task.startswith("t2") else {"strength": row["strength"]},
        loras=_adapters(row["loras"], options),
        controlnets=_adapters(row["controlnets"], options),
        inputs=inputs,
        deadline_s=row["deadline_s"],
        service=row["service"],
        tenant=row["tenant"],
    )


def _adapters(adapters: Sequence[dict[str, Any]] | None, options: DatasetOptions) -> tuple[RequestedAdapter, ...]:
    if not options.uses_adapters:
        return ()
    return tuple(RequestedAdapter(each["name"], each["scale"]) for each in adapters or () if each["name"] is not None)


def _notes(traces: Sequence[Trace], rows: pl.DataFrame, options: DatasetOptions) -> Iterator[str]:
    for trace in traces:
        yield from trace.notes
        for reason, count in trace.dropped.items():
            yield f"left out {count:,} requests of {trace.path.name}: {reason}"
    if len(rows) < options.count:
        yield f"the trace has {len(rows):,} requests, fewer than the {options.count:,} that --num-prompts allows"
    if lacking := rows["prompt"].null_count():
        yield f"{lacking:,} requests of the trace have no prompt; a numbered one stands in"
    if options.uses_adapters and any(_has_unnamed(rows[name]) for name in ("controlnets", "loras")):
        yield "adapters of which the trace does not tell which they are were left out"


def _has_unnamed(adapters: pl.Series) -> bool:
    names = adapters.drop_nulls().list.explode(empty_as_null=False).struct.field("name")
    return names.has_nulls()


TRACE = Dataset(name="trace", read=read_trace)
