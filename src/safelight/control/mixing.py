"""Rows of other sizes that join a call."""

from collections.abc import Sequence
from typing import Final

from safelight.control.batch import Kind, QueuedJob
from safelight.core.adapter import Composition
from safelight.profiles.pace import PaceEstimate

Part = tuple[int, int, int]
"""Width, height and denoiser rows of one size in a call."""

LEAST_GAIN: Final = 1.1
"""A call of several sizes must be so many times faster than the calls apart, since its duration is a guess."""


def mixed(
    batch: list[QueuedJob],
    rows: Sequence[QueuedJob],
    *,
    folded: Composition,
    pace: PaceEstimate,
    now: float,
    max_denoiser_rows: int,
) -> tuple[list[QueuedJob], tuple[Part, ...]]:
    """Return `batch`, which is of one size, with those of `rows` of other sizes that gain by joining, and the parts.

    Rows of the same model join, with the LoRAs that are folded, and without ControlNets.
    All rows of a size join, or none. A row that would be late in the longer call keeps others out. Without any that
    join, there are no parts.
    """
    if any(row.job.request.controlnets for row in batch):
        return batch, ()
    joined, parts = list(batch), [_part(batch)]
    used = sum(row.denoiser_rows for row in batch)
    for mates in _others(batch[0].kind, rows, folded).values():
        part = _part(mates)
        if used + part[2] > max_denoiser_rows:
            continue
        apart_s = _call_s(parts, pace) + _call_s([part], pace)
        together_s = _call_s([*parts, part], pace)
        if apart_s < LEAST_GAIN * together_s or not _are_in_time(joined, together_s, pace, now):
            continue
        joined += mates
        parts.append(part)
        used += part[2]
    return (joined, tuple(parts)) if len(parts) > 1 else (batch, ())


def _others(kind: Kind, rows: Sequence[QueuedJob], folded: Composition) -> dict[Kind, list[QueuedJob]]:
    """Return the rows of the model's other sizes that may join, by kind, in order; none of a size that has others."""
    found: dict[Kind, list[QueuedJob]] = {}
    unfit: set[Kind] = set()
    for row in rows:
        if row.kind[0] != kind[0] or row.kind == kind:
            continue
        if row.is_bare or row.composition != folded or row.job.request.controlnets:
            unfit.add(row.kind)
        else:
            found.setdefault(row.kind, []).append(row)
    return {each: mates for each, mates in found.items() if each not in unfit}


def _part(rows: Sequence[QueuedJob]) -> Part:
    _, width, height = rows[0].kind
    return width, height, sum(row.denoiser_rows for row in rows)


def _call_s(parts: Sequence[Part], pace: PaceEstimate) -> float:
    if len(parts) == 1:
        width, height, rows = parts[0]
        return pace.tick_s(rows, width=width, height=height)
    return pace.profile.mixed_s(parts) * max(pace.pace(width, height) for width, height, _ in parts)


def _are_in_time(rows: Sequence[QueuedJob], tick_s: float, pace: PaceEstimate, now: float) -> bool:
    """Whether all rows that have deadlines meet them in calls of this length."""
    for row in rows:
        _, width, height = row.kind
        decode_s = pace.profile.decoding_s(width=width, height=height)
        if now + row.steps_left * tick_s + decode_s > row.job.request.due_s:
            return False
    return True
