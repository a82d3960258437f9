"""Writing traces, in any format that has a place for them."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import polars as pl
import zstandard

from safelight.core.errors import nearest, shorten
from safelight.reports.atomic_files import write_atomically
from safelight.reports.errors import CannotWrite
from safelight.traces.errors import UnknownFormat
from safelight.traces.parquet import SUFFIXES, write_parquet
from safelight.traces.schema import SCHEMA, conform, names_of

PARQUET = "parquet"
PACKED = (".gz", ".zst")
MS = 1000


@dataclass(frozen=True, kw_only=True)
class Writer:
    """One text format.

    Attributes:
        name: as a reader of the same format has it.
        suffixes: of file names, which tell the format where nobody does.
        columns: those that it has a place for.
        needs: those that it cannot do without.
        encode: canonical requests, of which none lacks what is needed, as whole lines.
        between: what stands between one block of lines and the next.
        ends: what stands before all requests and after them.
    """

    name: str
    suffixes: tuple[str, ...]
    columns: tuple[str, ...]
    needs: tuple[str, ...]
    encode: Callable[[pl.DataFrame], bytes]
    between: bytes = b""
    ends: tuple[bytes, bytes] = (b"", b"")


class Packing(Protocol):
    """What bytes can be written to."""

    def write(self, data: bytes, /) -> int:
        """Take some more."""
        ...


def _jsonl(batch: pl.DataFrame) -> bytes:
    known = [column for column in batch if column.null_count() < len(column)]
    return pl.DataFrame(known).write_ndjson().encode() if known else b"{}\n" * len(batch)


def _katz(batch: pl.DataFrame) -> bytes:
    arrivals = batch["arrival_s"]
    is_whole = (arrivals == arrivals.round()).all() and arrivals.max() < 2**53  # type: ignore[operator]
    table = batch.select(
        timestamp=pl.col("arrival_s").cast(pl.Int64) if is_whole else pl.col("arrival_s"),
        ip="instance",
        scene_id="service",
        base_model_id="base_model",
        controlnets=names_of("controlnets"),
        loras=names_of("loras"),
    )
    return table.write_ndjson().encode().strip().replace(b"\n", b",\n")


def _diffserve(batch: pl.DataFrame) -> bytes:
    table = batch.select((pl.col("arrival_s") * MS).round(6), "prompt_id")
    return table.write_csv(include_header=False).encode()


OMNI_FIELDS = {
    "request_id": "request_id",
    "timestamp": "arrival_s",
    "prompt": "prompt",
    "width": "width",
    "height": "height",
    "num_frames": "frames",
    "fps": "fps",
    "num_inference_steps": "steps",
    "seed": "seed",
    "slo_ms": "deadline_s",
}


VIDEO = ".mp4"
"""How names of videos end."""


def _omni(batch: pl.DataFrame) -> bytes:
    is_video = pl.element().str.ends_with(VIDEO)
    pictures, videos = (pl.col("inputs").list.filter(kind) for kind in (~is_video, is_video))
    table = batch.with_columns((pl.col("deadline_s") * MS).round(6)).select(
        **OMNI_FIELDS,
        image_paths=pl.when((pictures.list.len() > 0) | (videos.list.len() == 0)).then(pictures),
        video_paths=pl.when(videos.list.len() > 0).then(videos),
    )
    said = [{name: value for name, value in row.items() if value is not None} for row in table.iter_rows(named=True)]
    lines = (", ".join(f"{name}={value!r}" for name, value in fields.items()) for fields in said)
    return "".join(f"Request({line})\n" for line in lines).encode()


WRITERS = (
    Writer(name="jsonl", suffixes=(".jsonl", ".ndjson"), columns=tuple(SCHEMA), needs=(), encode=_jsonl),
    Writer(
        name="katz",
        suffixes=(".json",),
        columns=("origin", "arrival_s", "service", "instance", "base_model", "controlnets", "loras"),
        needs=("arrival_s",),
        encode=_katz,
        between=b",\n",
        ends=(b"[", b"]\n"),
    ),
    Writer(
        name="diffserve",
        suffixes=(),
        columns=("origin", "arrival_s", "prompt_id"),
        needs=("arrival_s", "prompt_id"),
        encode=_diffserve,
    ),
    Writer(name="omni", suffixes=(), columns=("origin", "inputs", *OMNI_FIELDS.values()), needs=(), encode=_omni),
)
FORMATS = (PARQUET, *(writer.name for writer in WRITERS))


def format_of(path: Path, name: str | None = None) -> str:
    """Return the format of a file to be written: the one that is named, else what the file's name ends in.

    Raises:
        UnknownFormat: if there is none of that name or ending.
    """
    if name is not None:
        if name not in FORMATS:
            raise UnknownFormat(f"No format is named {shorten(name)}; {nearest(name, FORMATS)}")
        return name
    suffix = path.with_suffix("").suffix if path.suffix in PACKED else path.suffix
    endings = {**dict.fromkeys(SUFFIXES, PARQUET), **{end: each.name for each in WRITERS for end in each.suffixes}}
    if suffix not in endings:
        raise UnknownFormat(
            f"{str(path)!r} does not tell its format; end it in {', '.join(endings)}, "
            f"or name one with --format: {', '.join(FORMATS)}."
        )
    return endings[suffix]


def write_trace(frame: pl.LazyFrame, path: Path, *, to_format: str, source: str) -> tuple[str, ...]:
    """Write a trace a few requests at a time, and return in sentences what the format had no place for.

    Args:
        frame: canonical, or such that `conform` makes it so.
        path: of a file that is made or replaced; text is packed where it ends in .gz or .zst.
        to_format: one of `FORMATS`.
        source: what the requests come from, for people to read.

    Raises:
        CannotWrite: if the place does not allow it, or requests lack what the format needs.
    """
    if to_format == PARQUET:
        write_parquet(frame, path, source=source)
        return ()
    writer = next(writer for writer in WRITERS if writer.name == to_format)
    lost = set[str]()
    write_atomically(path, lambda to: lost.update(_write_text(conform(frame), to, writer, target=path)))
    if not lost:
        return ()
    return (f"The format {writer.name} has no place for {', '.join(sorted(lost))}; that was left out.",)


def _write_text(frame: pl.LazyFrame, path: Path, writer: Writer, *, target: Path) -> set[str]:
    """Write text to `path` in the stead of `target`, and return what the format had no place for."""
    before, after = writer.ends
    lost, between = set[str](), b""
    with path.open("wb") as file, _packed(file, target.suffix) as packed:
        packed.write(before)
        for batch in frame.collect_batches(maintain_order=True, engine="streaming"):
            if len(batch):
                _check_needs(batch, target, writer)
                lost.update(_lost(batch, writer))
                packed.write(between + writer.encode(batch))
                between = writer.between
        packed.write(after)
    return lost


def _check_needs(batch: pl.DataFrame, target: Path, writer: Writer) -> None:
    for name in writer.needs:
        if batch[name].null_count():
            raise CannotWrite(target, f"the format {writer.name} needs {name}, which some requests do not have.")


def _lost(batch: pl.DataFrame, writer: Writer) -> Iterator[str]:
    for column in batch:
        if column.name not in writer.columns and column.null_count() < len(column):
            yield column.name
    for name in ("controlnets", "loras"):
        if writer.name == "katz" and batch[name].explode().struct.field("scale").count():
            yield f"the scales of {name}"


@contextmanager
def _packed(file: BinaryIO, suffix: str) -> Iterator[Packing]:
    """Give what packs into `file` as the suffix says, and finish the packing."""
    match suffix:
        case ".gz":
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6) as packed:
                yield packed
        case ".zst":
            with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as packed:
                yield packed
        case _:
            yield file
