"""The canonical table of requests: one row each, whatever they come from.

Every column may be null, which means that the source does not tell. Rows are in order of arrival; those of one moment
stand as their source has them.

| column | meaning |
| --- | --- |
| `request_id` | unique within the trace |
| `origin` | whether the row was `recorded` elsewhere, `served` by Safelight, `simulated` or `synthesized` |
| `arrival_s` | seconds since the trace's start, or Unix time where the source knows it (see `UNIX_TIME_FROM_S`) |
| `service` | the application that asked, such as `A` and `B` of the Katz trace |
| `instance` | the server process or node that the request was sent to |
| `tenant` | on whose behalf |
| `task` | what is wanted, in words of Hugging Face: `text-to-image`, `image-to-image`, `inpainting`, ... |
| `base_model` | the model that adapters are put beside |
| `controlnets` | ControlNets with their scales, in the order of the request |
| `loras` | LoRAs with their scales, in the order of the request |
| `prompt`, `negative_prompt` | the texts |
| `prompt_id` | a prompt's name or number in a collection that the source refers to |
| `inputs` | pictures and videos that it starts from: paths, beside the trace's own file, or URLs |
| `width`, `height` | pixels |
| `steps` | denoising steps |
| `strength` | share of the steps that are run, of a picture that starts from another |
| `frames`, `fps` | of a video, and how many of them a second has |
| `images` | pictures that one request asks for |
| `guidance_scale`, `sampler`, `seed` | as asked for |
| `deadline_s` | seconds after arrival by which the answer must be ready |
| `status` | how it ended: `finished`, `failed`, `cancelled`, `rejected` or `expired` |
| `reason` | why it did not finish, as a short stable name |
| `duration_s` | seconds until it ended: from arrival, or from the start of work where the source tells no more |
| `predicted_s` | seconds from arrival to the end that the server had predicted when the request came |
| `queue_s` | seconds from arrival to the start of work |
| `compute_s` | seconds of work |
| `retries` | attempts lost before |
| `pauses` | how many times it was stopped between two steps, and went on later or elsewhere |
| `steps_without_loras` | steps that ran while its LoRAs were still being loaded |
| `asked_model` | the model or cascade that was asked for; `any` left the choice to the server |
| `asked_steps`, `asked_guidance_scale` | likewise; null if the request left them to the server |
| `asked_quality` | likewise: `low`, `medium`, `high`, `xhigh` or `max` |
| `asked_min_quality` | the least probability that a light picture is good enough, if it asked for one |
| `gate_score` | that probability, by the gate of a cascade, of the light picture |
| `stages` | levels that were begun; none if an earlier picture was the answer |

A list of adapters that is null is unknown or absent, one that is empty says that there are none. Within a list, an
adapter whose name is null is one of which the source tells that it was there, but not which: the Katz trace has such
elements, and GenTD26 only counts LoRAs. Inputs are named: an element that is null is left out.
"""

from collections.abc import Sequence
from typing import Literal

import polars as pl

from safelight.traces.errors import UnknownColumns, WrongColumnType

AdapterColumn = Literal["controlnets", "loras"]

ORIGINS = ("recorded", "served", "simulated", "synthesized")
MADE_UP = "synthesized-"
"""Names of instances begin like this where requests were made up, since not every format has a place for the origin."""

STATUSES = ("finished", "failed", "cancelled", "rejected", "expired")

ADAPTER = pl.Struct({"name": pl.String, "scale": pl.Float64})
ADAPTERS = pl.List(ADAPTER)
INPUTS = pl.List(pl.String)

SCHEMA = pl.Schema(
    {
        "request_id": pl.String(),
        "origin": pl.Enum(ORIGINS),
        "arrival_s": pl.Float64(),
        "service": pl.String(),
        "instance": pl.String(),
        "tenant": pl.String(),
        "task": pl.String(),
        "base_model": pl.String(),
        "controlnets": ADAPTERS,
        "loras": ADAPTERS,
        "prompt": pl.String(),
        "negative_prompt": pl.String(),
        "prompt_id": pl.String(),
        "inputs": INPUTS,
        "width": pl.Int32(),
        "height": pl.Int32(),
        "steps": pl.Int32(),
        "strength": pl.Float64(),
        "frames": pl.Int32(),
        "fps": pl.Int32(),
        "images": pl.Int32(),
        "guidance_scale": pl.Float64(),
        "sampler": pl.String(),
        "seed": pl.Int64(),
        "deadline_s": pl.Float64(),
        "status": pl.Enum(STATUSES),
        "reason": pl.String(),
        "duration_s": pl.Float64(),
        "predicted_s": pl.Float64(),
        "queue_s": pl.Float64(),
        "compute_s": pl.Float64(),
        "retries": pl.Int32(),
        "pauses": pl.Int32(),
        "steps_without_loras": pl.Int32(),
        "asked_model": pl.String(),
        "asked_steps": pl.Int32(),
        "asked_guidance_scale": pl.Float64(),
        "asked_quality": pl.String(),
        "asked_min_quality": pl.Float64(),
        "stages": pl.Int32(),
        "gate_score": pl.Float64(),
    }
)

NOT_NEGATIVE = (
    *("arrival_s", "width", "height", "steps", "frames", "fps", "images"),
    *("deadline_s", "duration_s", "predicted_s", "queue_s", "compute_s", "retries", "pauses", "steps_without_loras"),
    *("asked_steps", "asked_min_quality", "stages", "gate_score"),
)
"""Numbers that must be finite and at least 0 where they are known."""

UNIX_TIME_FROM_S = 1e8
"""Arrivals from here on are Unix time (1973 and later); traces that count from their start are shorter than that."""

_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
_NAMES = pl.List(pl.String)


def empty() -> pl.DataFrame:
    """Return the canonical table without a row."""
    return SCHEMA.to_frame()


def conform(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return `frame` as the canonical table: all columns, in order, in their types; those it lacks are null.

    Types change only where nothing is lost: integers to other integers (an overflow is an error when the frame is
    collected) and to floats, text to categories, and lists of names to lists of adapters without scales. An adapter
    list's null elements become adapters whose name is null.

    Raises:
        UnknownColumns: if there are columns that the canonical table does not have.
        WrongColumnType: if a column's values might lose something.
    """
    found = frame.collect_schema()
    if unknown := [name for name in found if name not in SCHEMA]:
        raise UnknownColumns(unknown, list(SCHEMA))
    if not found:
        return empty().lazy()
    return frame.select(_column(name, found.get(name), wanted) for name, wanted in SCHEMA.items())


def names_of(column: AdapterColumn) -> pl.Expr:
    """Return the names of each request's adapters as a list of text, with nulls where the trace has them."""
    return pl.col(column).list.eval(pl.element().struct.field("name")).alias(column)


def adapters_named(names: pl.Expr) -> pl.Expr:
    """Return lists of names as lists of adapters without scales."""
    return names.list.eval(pl.struct(pl.element().alias("name"), pl.lit(None, pl.Float64).alias("scale")))


def _column(name: str, found: pl.DataType | None, wanted: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if found is None:
        return pl.lit(None, wanted).alias(name)
    if wanted == INPUTS and found in (INPUTS, pl.List(pl.Null)):
        return column.list.drop_nulls().cast(INPUTS)
    if found == wanted and wanted != ADAPTERS:
        return column
    if wanted == ADAPTERS and found == _NAMES:
        return adapters_named(column)
    if wanted == ADAPTERS and _is_like_adapters(found):
        return column.list.eval(_adapter()).cast(ADAPTERS)
    if found == pl.Null or _fits(found, wanted):
        return column.cast(wanted)
    raise WrongColumnType(name, found, wanted)


def _fits(found: pl.DataType, wanted: pl.DataType) -> bool:
    if isinstance(wanted, pl.Int32 | pl.Int64):
        return found in _INTEGERS
    if wanted == pl.Float64:
        return found in (pl.Float32, *_INTEGERS)
    return isinstance(found, pl.String | pl.Categorical | pl.Enum) and isinstance(wanted, pl.String | pl.Enum)


def _is_like_adapters(found: pl.DataType) -> bool:
    if not isinstance(found, pl.List) or not isinstance(found.inner, pl.Struct):
        return False
    fields: Sequence[pl.Field] = found.inner.fields
    return [field.name for field in fields] == ["name", "scale"]


def _adapter() -> pl.Expr:
    """Rebuild the element of an adapter list, so that one that is null becomes one whose name is null."""
    return pl.struct(pl.element().struct.field("name"), pl.element().struct.field("scale"))
