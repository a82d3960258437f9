"""The speed that a device has shown since it was measured."""

import math
from typing import Final, TypeVar

from safelight.core.job import Job
from safelight.core.work import Ticked
from safelight.profiles.profile import Profile

LEARNING_RATE: Final = 0.1
"""Weight of one observed tick in the running average."""

LEARNED_TICKS: Final = 20
"""After so many ticks, what was assumed at first counts for an eighth."""

SURPRISE_LIMIT: Final = 4.0
"""An observed tick counts as at most this many times faster or slower than expected."""

ROUNDING: Final = 1e-9
"""A pace that differs by a smaller share is the same."""

LEAST_PACE: Final = 1e-3
"""Lower limit of a pace."""

MOST_KEPT: Final = 4096
"""Durations that are kept for each model of each worker."""

Shape = tuple[int, int, int, int, bool]
_Key = TypeVar("_Key")


class PaceEstimate:
    """The speed of one model on one device, learned from its ticks.

    A duration is the measured one, in proportion to pixels, times a learned pace for each picture size: 1 is as
    measured, 2 is half as fast. The replica and the controller learn the same pace from the same `Ticked` events.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._own_size = (profile.width, profile.height)
        self._paces: dict[tuple[int, int], float] = {}
        self._observed = 0
        self._tick_s: dict[tuple[int, int, int], float] = {}
        self._service_s: dict[tuple[Shape, int], float] = {}
        self._best_s: dict[Shape, float] = {}
        self._outside_s: dict[tuple[int, int, bool], float] = {}

    @property
    def is_learned(self) -> bool:
        """Whether enough ticks were observed for the pace to be that of the device."""
        return self._observed >= LEARNED_TICKS

    def tick_s(self, denoiser_rows: int, *, width: int, height: int) -> float:
        """Return the seconds of one denoiser call over `denoiser_rows` rows of this size in pixels, without misfits."""
        call = (denoiser_rows, width, height)
        known = self._tick_s.get(call)
        if known is None:
            plain_s = self.profile.tick_s(denoiser_rows, width=width, height=height)
            known = self._kept(self._tick_s, call, plain_s * self.pace(width, height))
        return known

    def service_s(self, job: Job, *, beside_rows: int = 0) -> float:
        """Return the seconds from encoding to decoding of `job` when `beside_rows` other rows share each tick."""
        shape = job.shape
        known = self._service_s.get((shape, beside_rows))
        if known is None:
            width, height, rows, steps_left, _ = shape
            tick_s = self.tick_s(rows + beside_rows, width=width, height=height)
            known = self._kept(self._service_s, (shape, beside_rows), self.outside_steps_s(job) + steps_left * tick_s)
        return known

    def best_service_s(self, job: Job) -> float:
        """Return the seconds of `job` alone, at the measured or the learned pace, whichever is faster.

        A pace that was learned under load may be too slow for an idle device.
        """
        shape = job.shape
        known = self._best_s.get(shape)
        if known is None:
            width, height, rows, steps_left, _ = shape
            tick_s = self.profile.tick_s(rows, width=width, height=height)
            steps_s = steps_left * tick_s * min(1.0, self.pace(width, height))
            known = self._kept(self._best_s, shape, self.outside_steps_s(job) + steps_s)
        return known

    def outside_steps_s(self, job: Job) -> float:
        """Return the seconds of `job` outside its steps: encoding and decoding."""
        _, width, height = job.kind
        picture = (width, height, job.request.source is not None)
        known = self._outside_s.get(picture)
        if known is None:
            encoding_s = self.profile.encoding_s(width=width, height=height, has_source=picture[2])
            decoding_s = self.profile.decoding_s(width=width, height=height)
            known = self._kept(self._outside_s, picture, encoding_s + decoding_s)
        return known

    def observe(self, ticked: Ticked) -> None:
        """Learn from denoiser calls, by their estimated duration without misfits."""
        if ticked.sizes > 1 or ticked.reused:
            return
        measured_s = self.profile.tick_s(ticked.denoiser_rows, width=ticked.width, height=ticked.height)
        if measured_s <= 0 or math.isnan(ticked.plain_s):
            return
        pace = self.pace(ticked.width, ticked.height)
        shown = ticked.plain_s / (ticked.steps * measured_s)
        if math.isclose(shown, pace, rel_tol=ROUNDING):
            self._observed += ticked.steps
            return
        if ticked.steps > 1 and pace / SURPRISE_LIMIT <= shown <= pace * SURPRISE_LIMIT:
            pace += (1 - (1 - LEARNING_RATE) ** ticked.steps) * (shown - pace)
        else:
            for _ in range(ticked.steps):
                limited = min(max(shown, pace / SURPRISE_LIMIT), pace * SURPRISE_LIMIT)
                pace = max(LEAST_PACE, pace + LEARNING_RATE * (limited - pace))
        self._paces[ticked.width, ticked.height] = max(LEAST_PACE, pace)
        self._tick_s.clear()
        self._service_s.clear()
        self._best_s.clear()
        self._observed += ticked.steps

    def pace(self, width: int, height: int) -> float:
        """Return how many times slower than measured this size is; an unobserved one is like the model's own."""
        pace = self._paces.get((width, height))
        return self._paces.get(self._own_size, 1.0) if pace is None else pace

    def _kept(self, known: dict[_Key, float], key: _Key, seconds: float) -> float:
        """Keep a duration until the pace changes, in bounded memory."""
        if len(known) >= MOST_KEPT:
            known.clear()
        known[key] = seconds
        return seconds
