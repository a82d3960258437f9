"""Chooses the rows of each tick, and what the weights hold during it."""

from bisect import insort
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from safelight.control.batch import QueuedJob, place_of
from safelight.control.folding import Folding
from safelight.control.mixing import Part, mixed
from safelight.control.order.protocol import Place, weighs
from safelight.control.replica.config import ReplicaConfig
from safelight.control.turns import in_turn
from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, Composition
from safelight.core.job import Job
from safelight.core.work import Ticked
from safelight.profiles.pace import PaceEstimate

SAFE_STRETCH: Final = 1.5
"""Calls may take so many times as long as predicted before a deadline changes what runs in them."""


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """One denoiser call: rows of one model and size, most urgent first, with `folded` in the weights.

    Attributes:
        misfit_rows: those of its `denoiser_rows` that have other LoRAs than are folded.
        slowdown: how many times longer it takes because of them.
        bare: those of the requests whose rows run without their LoRAs, which are still being loaded.
        most_steps: how many equal calls may follow each other if no command comes in between.
        parts: width, height and denoiser rows of each size, if several share the call; the first is the tick's own.
    """

    model: str
    width: int
    height: int
    request_ids: tuple[str, ...]
    denoiser_rows: int
    misfit_rows: int = 0
    slowdown: float = 1.0
    folded: Composition = NO_ADAPTERS
    bare: tuple[str, ...] = ()
    most_steps: int = 1
    parts: tuple[Part, ...] = ()

    def ticked(self, seconds: float, *, steps: int = 1, reused: int = 0) -> Ticked:
        """Return the record of `steps` such calls, which took `seconds`."""
        return Ticked(
            model=self.model,
            width=self.width,
            height=self.height,
            denoiser_rows=self.denoiser_rows,
            misfit_rows=self.misfit_rows,
            folded=self.folded,
            seconds=seconds,
            plain_s=seconds / self.slowdown,
            request_ids=self.request_ids,
            steps=steps,
            sizes=max(1, len(self.parts)),
            reused=reused,
        )


class TickScheduler:
    """Holds the jobs of one worker and chooses the rows of each tick."""

    def __init__(self, paces: Mapping[str, PaceEstimate], *, config: ReplicaConfig) -> None:
        self._paces = paces
        self._config = config
        self._folding = {
            model: Folding(pace, config.adapter_mode.start, max_denoiser_rows=config.max_denoiser_rows)
            for model, pace in paces.items()
        }
        self._in_weights: dict[str, Composition | None] = dict.fromkeys(paces, NO_ADAPTERS)
        self._held: dict[str, QueuedJob] = {}
        self._in_order: list[QueuedJob] = []
        self._sequence = 0

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to run; rows that wait for their LoRAs may still be held."""
        return all(row.is_held_back for row in self._in_order)

    def hold(self, job: Job, *, steps_run: int | None = None, grace_left: int | None = None) -> None:
        """Add a job; its row joins at the next tick that has room.

        Args:
            job: to add.
            steps_run: steps that have been run; by default those of another worker.
            grace_left: how many steps it may run before `equip`, without its LoRAs; None if they are loaded.
        """
        assert job.id not in self._held, f"{job.id} is held already"
        place = self._place(job)
        row = QueuedJob.of(job, place=place, steps_run=job.steps_run if steps_run is None else steps_run)
        row.grace_left = grace_left
        self._sequence += 1
        self._held[job.id] = row
        insort(self._in_order, row, key=place_of)

    def _place(self, job: Job) -> Place:
        order = self._config.order
        if not weighs(order):
            return order.place(job.request, self._sequence)
        return order.place(job.request, self._sequence, service_s=self._paces[job.level.model].service_s(job))

    def equip(self, request_id: str) -> None:
        """Note that the LoRAs of a row are loaded: from the next tick on it runs with them."""
        self._held[request_id].grace_left = None

    def drop(self, request_id: str) -> bool:
        """Remove a job; returns whether it was held."""
        row = self._held.pop(request_id, None)
        if row is None:
            return False
        self._in_order.remove(row)
        return True

    def next_tick(self, now: float) -> Tick | None:
        """Return the next tick, or None when there is none; `now` is on the clock of `ImageRequest.arrived_s`."""
        waiting = [row for row in self._in_order if not row.is_held_back]
        if not waiting:
            return None
        most = self._config.max_denoiser_rows
        waiting = in_turn(waiting, now=now, paces=self._paces, max_denoiser_rows=most, order=self._config.order)
        candidates = self._config.batching.candidates(waiting)
        model, width, height = candidates[0].kind
        folding = self._folding[model]
        batch = self._config.batching.choose(
            folding.choose(candidates, now=now),
            now=now,
            paces=self._paces,
            max_denoiser_rows=most,
        )
        misfit_rows = folding.misfit_rows(batch)
        parts: tuple[Part, ...] = ()
        if not misfit_rows and len(batch) < len(waiting) and self._mixes(model, waiting):
            batch, parts = mixed(
                batch, waiting, folded=folding.folded, pace=self._paces[model], now=now, max_denoiser_rows=most
            )
        denoiser_rows = sum(row.denoiser_rows for row in batch)
        return Tick(
            model=model,
            width=width,
            height=height,
            request_ids=tuple(row.id for row in batch),
            denoiser_rows=denoiser_rows,
            misfit_rows=misfit_rows,
            slowdown=folding.slowdown(misfit_rows, denoiser_rows),
            folded=folding.folded,
            bare=tuple(row.id for row in batch if row.is_bare),
            most_steps=1 if parts else self._most_steps(batch, folding, denoiser_rows, now),
            parts=parts,
        )

    def _mixes(self, model: str, rows: Sequence[QueuedJob]) -> bool:
        """Whether pictures of different sizes may share a call of `model`: where no deadline was promised.

        Promises are made for calls of one size, and a call of several takes longer than each of those.
        """
        if any(row.job.request.deadline_s is not None for row in rows):
            return False
        if self._config.deterministic or not getattr(self._config.batching, "mixes_sizes", False):
            return False
        return self._paces[model].profile.mixes_sizes

    def _most_steps(self, batch: Sequence[QueuedJob], folding: Folding, denoiser_rows: int, now: float) -> int:
        """Return for how many ticks every choice is the same if no command comes: until a row of the batch ends."""
        if not self._config.coalesces_steps or len(batch) < len(self._in_order):
            return 1
        if len(batch) > 1 and not self._are_in_time(batch, denoiser_rows, now):
            return 1
        if any(row.is_bare or row.job.request.previews or row.job.level.captures for row in batch):
            return 1
        ticks = min(row.steps_left for row in batch)
        return ticks if ticks == 1 or folding.stays(batch, ticks=ticks, now=now) else 1

    def _are_in_time(self, batch: Sequence[QueuedJob], denoiser_rows: int, now: float) -> bool:
        """Whether all rows meet their deadlines by far in calls like the next one, so that none is left out later."""
        model, width, height = batch[0].kind
        pace = self._paces[model]
        tick_s = pace.tick_s(denoiser_rows, width=width, height=height) * SAFE_STRETCH
        outside_s = len(batch) * pace.profile.decoding_s(width=width, height=height)
        return all(now + row.steps_left * tick_s + outside_s < row.job.request.due_s for row in batch)

    def must_fold(self, tick: Tick) -> bool:
        """Return whether the weights do not hold yet what `tick` wants, as far as is known."""
        return self._in_weights[tick.model] != tick.folded

    def folded(self, tick: Tick) -> None:
        """Note that the weights hold what `tick` wants."""
        self._in_weights[tick.model] = tick.folded

    def fold_failed(self, model: str) -> None:
        """Note that the weights of `model` could not be made to hold what the last tick wanted."""
        self._folding[model].failed()
        self._in_weights[model] = None

    def adapter_evicted(self, handle: AdapterHandle) -> None:
        """Note that these weights have left the device; what was folded with them no longer is."""
        for model, folding in self._folding.items():
            folding.adapter_evicted(handle)
            held = self._in_weights[model]
            if held is not None and handle in held.handles:
                self._in_weights[model] = NO_ADAPTERS

    def tick_done(self, tick: Tick, ticked: Ticked) -> tuple[str, ...]:
        """Note that `tick` is over; returns the ids whose last step it was, which are no longer held.

        Rows that were dropped since the tick was chosen do not count.
        """
        self._paces[tick.model].observe(ticked)
        ran = [self._held[request_id] for request_id in tick.request_ids if request_id in self._held]
        for row in ran:
            row.has_begun = True
            row.steps_left -= ticked.steps
            if row.grace_left is not None:
                row.grace_left -= ticked.steps
        done = tuple(row.id for row in ran if row.steps_left == 0)
        for request_id in done:
            self.drop(request_id)
        return done
