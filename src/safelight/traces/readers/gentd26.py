"""Requests of GenTD26, Alibaba's trace of production image generation (Lin et al., SoCC 2025): a table with commas.

It tells how many LoRAs a request had, but not which.
"""

from collections.abc import Iterator

import polars as pl

from safelight.traces.adapter_lists import unnamed_lists
from safelight.traces.read_log import ReadLog
from safelight.traces.readers.delimited import (
    Column,
    blocks,
    count,
    date,
    has_most_of,
    header_of,
    number,
    text,
    typed,
)
from safelight.traces.readers.reader import Reader
from safelight.traces.source import Source

TASKS = {"TXT_2_IMG": "text-to-image", "IMG_2_IMG": "image-to-image", "INPAINTING": "inpainting"}
STATUSES = {"SUCCEED": "finished", "FAILED": "failed"}
"""Requests that were still waiting or running when the trace was taken have none."""

COLUMNS = {
    "arrival_s": date("gmt_create"),
    "tenant": text("groupId"),
    "task": Column(
        field="predict_type",
        value=pl.col("predict_type").replace_strict(TASKS, default=None),
        wanted=f"one of {', '.join(TASKS)}",
    ),
    "base_model": text("checkpoint_model_version_id"),
    "loras": count("num_lora"),
    "steps": count("num_inference_steps"),
    "images": count("num_images_per_prompt"),
    "reason": text("predict_status"),
    "duration_s": number("exec_time_seconds"),
}
LEFT_OUT = ("prompt_length", "negative_prompt_length")

_FIELDS = [column.field for column in COLUMNS.values()]


def _recognises(head: bytes) -> bool:
    return has_most_of(head, _FIELDS)


def _read(source: Source, read_log: ReadLog) -> Iterator[pl.DataFrame]:
    fields = header_of(source, needed=_FIELDS, optional=LEFT_OUT, read_log=read_log)
    read_log.note("Lengths of prompts were left out, and moments were taken to be in UTC.")
    for block in blocks(source, fields, read_log, has_header=True):
        table = typed(block, COLUMNS, read_log)
        word = pl.col("reason")
        yield table.with_columns(
            unnamed_lists(table["loras"]).alias("loras"),
            word.replace_strict(STATUSES, default=None, return_dtype=pl.String).alias("status"),
            pl.when(word != "SUCCEED").then(word.str.to_lowercase()).alias("reason"),
            pl.lit("recorded").alias("origin"),
        )


GENTD26 = Reader(
    name="gentd26",
    title="requests of GenTD26, with commas",
    unit="line",
    recognises=_recognises,
    read=_read,
)
