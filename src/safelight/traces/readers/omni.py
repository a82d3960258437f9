"""Traces of vLLM-Omni's benchmark: lines such as `Request(request_id='a', prompt='a cat', width=512, height=512)`.

The lines look like Python and are read as literals; nothing in them is run.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import polars as pl

from safelight.traces.read_log import ReadLog
from safelight.traces.readers.decode_errors import describe_decode_error
from safelight.traces.readers.reader import PLACE, Reader
from safelight.traces.row import Int32, Int64
from safelight.traces.schema import SCHEMA
from safelight.traces.source import Source

WORD = "Request"
MS = 1000


class OmniRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a line may say that has a place in the table."""

    request_id: str | int | None = None
    prompt: str | None = None
    text: str | None = None
    width: Int32 | None = None
    height: Int32 | None = None
    num_frames: Int32 | None = None
    num_inference_steps: Int32 | None = None
    seed: Int64 | None = None
    fps: Int32 | None = None
    image_path: str | None = None
    image_paths: list[str] | None = None
    video_path: str | None = None
    video_paths: list[str] | None = None
    timestamp: float | None = None
    slo_ms: float | None = None

    @property
    def inputs(self) -> list[str] | None:
        """Pictures, then videos; a list goes before a single one, as in vLLM-Omni's benchmark."""
        pictures = self.image_paths or ([self.image_path] if self.image_path else self.image_paths)
        videos = self.video_paths or ([self.video_path] if self.video_path else self.video_paths)
        return None if pictures is None and videos is None else [*(pictures or ()), *(videos or ())]


class NoRequest(ValueError):
    """A line that is not written like a request."""


def _recognises(head: bytes) -> bool:
    return any(line.lstrip().startswith(f"{WORD}(".encode()) for line in head.splitlines()[:3])


def _read(source: Source, read_log: ReadLog) -> Iterator[pl.DataFrame]:
    ids = set[str]()
    for lines in source.lines():
        found: list[tuple[int, OmniRequest]] = []
        for place, line in enumerate(lines.data.split(b"\n"), lines.first):
            if line.strip():
                try:
                    found.append((place, _with_own_id(_parsed(line.decode().strip(), read_log), ids, read_log)))
                except (NoRequest, msgspec.ValidationError, UnicodeDecodeError) as error:
                    _drop(error, place, read_log)
        yield _frame([place for place, _ in found], [request for _, request in found])


def _parsed(line: str, read_log: ReadLog) -> OmniRequest:
    try:
        call = ast.parse(line, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NoRequest from error
    match call:
        case ast.Call(func=ast.Name(id=word), args=[], keywords=keywords) if word == WORD:
            said = {keyword.arg: _literal(keyword.value) for keyword in keywords if keyword.arg}
        case _:
            raise NoRequest
    if extra := said.keys() - set(OmniRequest.__struct_fields__):
        read_log.note(f"These fields are not read, and were left out: {', '.join(sorted(extra))}.")
    return msgspec.convert(said, OmniRequest)


def _with_own_id(request: OmniRequest, ids: set[str], read_log: ReadLog) -> OmniRequest:
    """Return a request without its id if one before it has the same, as vLLM-Omni's benchmark allows it."""
    if request.request_id is None:
        return request
    if (name := str(request.request_id)) in ids:
        read_log.note("Requests with the id of one before them were read without it.")
        return msgspec.structs.replace(request, request_id=None)
    ids.add(name)
    return request


def _literal(value: ast.expr) -> object:
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise NoRequest from error


def _drop(error: Exception, place: int, read_log: ReadLog) -> None:
    if isinstance(error, NoRequest):
        reason, problem = "not a request", f"It is not like {WORD}(prompt='a cat', width=512, height=512)."
    else:
        reason, problem = describe_decode_error(error, OmniRequest.__struct_fields__)
    read_log.drop(reason, where=f"line {place}", problem=problem)


def _frame(places: Sequence[int], requests: Sequence[OmniRequest]) -> pl.DataFrame:
    columns: dict[str, list[Any]] = {
        "request_id": [None if request.request_id is None else str(request.request_id) for request in requests],
        "arrival_s": [request.timestamp for request in requests],
        "prompt": [request.text if request.prompt is None else request.prompt for request in requests],
        "width": [request.width for request in requests],
        "height": [request.height for request in requests],
        "inputs": [request.inputs for request in requests],
        "frames": [request.num_frames for request in requests],
        "fps": [request.fps for request in requests],
        "steps": [request.num_inference_steps for request in requests],
        "seed": [request.seed for request in requests],
        "deadline_s": [None if request.slo_ms is None else request.slo_ms / MS for request in requests],
        "origin": ["recorded"] * len(requests),
    }
    series = [pl.Series(name, values, SCHEMA[name]) for name, values in columns.items()]
    return pl.DataFrame([*series, pl.Series(PLACE, places, pl.Int64)])


OMNI = Reader(
    name="omni",
    title="vLLM-Omni's lines of Request(...)",
    unit="line",
    recognises=_recognises,
    read=_read,
)
