"""What one worker does next: earliest due first, within what fits a batch."""

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from safelight.adapters.modes import DEFAULT_POLICY, policy_named
from safelight.control.batch import Row, choose_batch
from safelight.control.folding import Folding
from safelight.core.adapter import NO_ADAPTERS, Composition
from safelight.core.work import Job
from safelight.profiles.model import ModelProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One denoiser call: rows of one model and size, most urgent first, with `folded` in the weights.

    Attributes:
        bare: those of the rows that run without their LoRAs, which are still on their way.
    """

    model: str
    width: int
    height: int
    request_ids: tuple[str, ...]
    folded: Composition = NO_ADAPTERS
    bare: tuple[str, ...] = ()


class ReplicaScheduler:
    """Holds the jobs of one worker and chooses the rows of each tick."""

    def __init__(
        self,
        profiles: Mapping[str, ModelProfile],
        *,
        max_denoiser_rows: int,
        adapter_mode: str = DEFAULT_POLICY,
    ) -> None:
        self._profiles = profiles
        self._max_denoiser_rows = max_denoiser_rows
        self._folding = {
            model: Folding(profile, partial(policy_named, adapter_mode), max_denoiser_rows=max_denoiser_rows)
            for model, profile in profiles.items()
        }
        self._held: dict[str, Row] = {}
        self._in_order: list[Row] = []
        self._sequence = 0

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to run; rows that wait for their LoRAs may be held all the same."""
        return all(row.is_held_back for row in self._in_order)

    def hold(self, job: Job, *, steps_run: int | None = None, grace_left: int | None = None) -> None:
        """Take a job; its row joins at the next tick that has room.

        `steps_run` of its steps are behind it, unless told those that another worker has run. Where its LoRAs are still
        on their way, it runs `grace_left` steps at most until `equip`; None says that they are there.
        """
        request = job.request
        assert request.id not in self._held, f"{request.id} is held already"
        row = Row.of(request, sequence=self._sequence, step=job.steps_run if steps_run is None else steps_run)
        row.grace_left = grace_left
        self._sequence += 1
        self._held[request.id] = row
        insort(self._in_order, row, key=_place)

    def equip(self, request_id: str) -> None:
        """Note that the LoRAs of a row are there: from the next tick on it runs with them."""
        self._held[request_id].grace_left = None

    def drop(self, request_id: str) -> bool:
        """Let a job go; returns whether it was held."""
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
        kind = waiting[0].kind
        model, width, height = kind
        folding = self._folding[model]
        batch = choose_batch(
            folding.choose([row for row in waiting if row.kind == kind], now=now),
            now=now,
            profiles=self._profiles,
            max_denoiser_rows=self._max_denoiser_rows,
        )
        return Tick(
            model=model,
            width=width,
            height=height,
            request_ids=tuple(row.request.id for row in batch),
            folded=folding.folded,
            bare=tuple(row.request.id for row in batch if row.is_bare),
        )

    def adapter_evicted(self, handle: str) -> None:
        """Note that these weights have left the device; what was folded with them no longer is."""
        for folding in self._folding.values():
            folding.adapter_evicted(handle)

    def fold_failed(self, model: str) -> None:
        """Note that the weights of `model` could not be made to hold what the last tick wanted."""
        self._folding[model].failed()

    def tick_done(self, tick: Tick, seconds: float) -> tuple[str, ...]:
        """Note that `tick` took `seconds`; returns the ids whose last step it was, which are no longer held.

        Rows that were dropped since the tick was chosen do not count.
        """
        ran = [self._held[request_id] for request_id in tick.request_ids if request_id in self._held]
        if ran:
            denoiser_rows = sum(row.denoiser_rows for row in ran)
            plain_s = seconds / self._folding[tick.model].slowdown(ran)
            self._profiles[tick.model].observe(denoiser_rows, plain_s, width=tick.width, height=tick.height)
        for row in ran:
            row.steps_left -= 1
            if row.grace_left is not None:
                row.grace_left -= 1
        done = tuple(row.request.id for row in ran if row.steps_left == 0)
        for request_id in done:
            self.drop(request_id)
        return done


def _place(row: Row) -> tuple[float, float, int]:
    return row.place
