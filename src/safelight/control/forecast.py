"""When pictures will start and be ready, if nothing else arrives: the schedulers' own choices, played forward."""

import heapq
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from safelight.control.batch import Row, choose_batch
from safelight.control.order import Place
from safelight.profiles.model import ModelProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """When a picture is expected to get its first tick and to be ready; a start in the past is given as now."""

    start_s: float
    finish_s: float


@dataclass(slots=True, eq=False, kw_only=True)
class Lane:
    """One worker as the forecast plays it; `rows` are its own copies."""

    profiles: Mapping[str, ModelProfile]
    max_denoiser_rows: int
    capacity_rows: int
    rows: list[Row] = field(default_factory=list)

    def take_from(self, waiting: list[Row]) -> None:
        """Move rows from `waiting`, which is in order, until the next one that could run here has no room."""
        free_rows = self.capacity_rows - sum(row.denoiser_rows for row in self.rows)
        taken = 0
        while free_rows > 0 and taken < len(waiting):
            row = waiting[taken]
            if row.kind[0] not in self.profiles:
                taken += 1
            elif row.denoiser_rows <= free_rows or not self.rows:
                insort(self.rows, waiting.pop(taken), key=_place)
                free_rows -= row.denoiser_rows
            else:
                return

    def advance(self, now: float, starts: dict[str, float]) -> tuple[float, list[Row]]:
        """Play ticks until a row has all its steps; returns when that is, and the rows that leave."""
        batch = choose_batch(self.rows, now=now, profiles=self.profiles, max_denoiser_rows=self.max_denoiser_rows)
        model, width, height = batch[0].kind
        profile = self.profiles[model]
        ticks = min(row.steps_left for row in batch)
        tick_s = profile.tick_s(sum(row.denoiser_rows for row in batch), width=width, height=height)
        encodings = 0
        for row in batch:
            row.steps_left -= ticks
            starts.setdefault(row.request.id, now)
            encodings += not row.has_begun
            row.has_begun = True
        done = [row for row in batch if row.steps_left == 0]
        self.rows = [row for row in self.rows if row.steps_left > 0]
        decoding_s = len(done) * profile.decoding_s(width=width, height=height)
        return now + encodings * profile.encode_s + ticks * tick_s + decoding_s, done


def foresee(lanes: Sequence[Lane], waiting: Iterable[Row], *, now: float) -> dict[str, Expectation]:
    """Return what to expect of each row, by request id; rows that no lane serves are left out.

    The lanes are used up.
    """
    queue = sorted(waiting, key=_place)
    starts: dict[str, float] = {}
    expected: dict[str, Expectation] = {}
    moments = [(now, index) for index in range(len(lanes))]
    while moments:
        moment, index = heapq.heappop(moments)
        lane = lanes[index]
        lane.take_from(queue)
        if not lane.rows:
            continue
        later, done = lane.advance(moment, starts)
        for row in done:
            expected[row.request.id] = Expectation(start_s=starts[row.request.id], finish_s=later)
        heapq.heappush(moments, (later, index))
    return expected


def _place(row: Row) -> Place:
    return row.place
