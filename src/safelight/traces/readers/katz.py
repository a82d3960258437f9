"""The request trace that was published with Katz (Li et al., USENIX ATC 2025): one JSON array.

Ids may be null, lists of adapters may be null, and so may their elements. Time is in seconds since the trace's start.
"""

from collections.abc import Iterator

import msgspec
import polars as pl

from safelight.traces.adapter_lists import Id, adapter_lists, ids
from safelight.traces.read_log import ReadLog
from safelight.traces.readers.json_array import Elements, JsonArray
from safelight.traces.readers.reader import PLACE, Reader
from safelight.traces.schema import MADE_UP
from safelight.traces.source import Source

_ORIGINS = {False: "recorded", True: "synthesized"}


class KatzRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An element of the array."""

    timestamp: float
    ip: Id = None
    scene_id: Id = None
    base_model_id: Id = None
    controlnets: tuple[Id, ...] | None = None
    loras: tuple[Id, ...] | None = None


def _recognises(head: bytes) -> bool:
    return head.lstrip().startswith(b"[")


def _read(source: Source, read_log: ReadLog) -> Iterator[pl.DataFrame]:
    for elements in JsonArray(source, KatzRequest, read_log).elements():
        yield _frame(elements)


def _frame(elements: Elements[KatzRequest]) -> pl.DataFrame:
    requests = elements.values
    instances = ids([request.ip for request in requests])
    return pl.DataFrame(
        {
            PLACE: pl.Series(elements.places, dtype=pl.Int64),
            "origin": instances.str.starts_with(MADE_UP).fill_null(value=False).replace_strict(_ORIGINS),
            "arrival_s": pl.Series([request.timestamp for request in requests], dtype=pl.Float64),
            "service": ids([request.scene_id for request in requests]),
            "instance": instances,
            "base_model": ids([request.base_model_id for request in requests]),
            "controlnets": adapter_lists([request.controlnets for request in requests]),
            "loras": adapter_lists([request.loras for request in requests]),
        }
    )


KATZ = Reader(
    name="katz",
    title="the Katz request trace, one JSON array",
    unit="request",
    recognises=_recognises,
    read=_read,
)
