"""What a running device has shown since it was measured."""

from typing import Final

from safelight.core.job import Job
from safelight.core.work import Ticked
from safelight.profiles.profile import Profile

LEARNING_RATE: Final = 0.1
"""Weight of one observed tick in the running average."""

SURPRISE_LIMIT: Final = 4.0
"""One observed tick counts as at most so many times faster or slower than expected."""

LEAST_PACE: Final = 1e-3
"""No model is believed to be faster than its measurement by more than the inverse of this."""


class PaceEstimate:
    """The speed of one model on one device, learnt from its ticks.

    Time is what was measured, in proportion to pixels, times a learned pace for each picture size:
    1 is as measured, 2 is half as fast. A replica and the controller learn the same from the same `Ticked`.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._own_size = (profile.width, profile.height)
        self._paces: dict[tuple[int, int], float] = {}

    def tick_s(self, denoiser_rows: int, *, width: int, height: int) -> float:
        """Return the seconds of one denoiser call over so many rows of this size in pixels, without misfits."""
        return self.profile.tick_s(denoiser_rows, width=width, height=height) * self.pace(width, height)

    def service_s(self, job: Job, *, beside_rows: int = 0) -> float:
        """Return the seconds from encoding to decoding of `job` when `beside_rows` other rows share each tick."""
        _, width, height = job.kind
        tick_s = self.tick_s(job.level.denoiser_rows + beside_rows, width=width, height=height)
        return self.still_s(job) + job.level.steps_to_run * tick_s

    def best_service_s(self, job: Job) -> float:
        """Return the seconds of `job` alone, at the measured or the learned pace, whichever is faster.

        A pace learned under load may be too slow for a device that is idle since.
        """
        _, width, height = job.kind
        tick_s = self.profile.tick_s(job.level.denoiser_rows, width=width, height=height)
        return self.still_s(job) + job.level.steps_to_run * tick_s * min(1.0, self.pace(width, height))

    def still_s(self, job: Job) -> float:
        """Return the seconds that `job` takes beside its steps: encoding and decoding."""
        _, width, height = job.kind
        encoding_s = self.profile.encoding_s(width=width, height=height, has_source=job.request.source is not None)
        return encoding_s + self.profile.decoding_s(width=width, height=height)

    def observe(self, ticked: Ticked) -> None:
        """Learn from one denoiser call, from what it would have taken without misfits."""
        measured_s = self.profile.tick_s(ticked.denoiser_rows, width=ticked.width, height=ticked.height)
        if measured_s <= 0:
            return
        pace = self.pace(ticked.width, ticked.height)
        shown = min(max(ticked.plain_s / measured_s, pace / SURPRISE_LIMIT), pace * SURPRISE_LIMIT)
        learned = max(LEAST_PACE, pace + LEARNING_RATE * (shown - pace))
        self._paces[ticked.width, ticked.height] = learned

    def pace(self, width: int, height: int) -> float:
        """Return how many times slower than measured this size is; an unseen size is like the model's own."""
        pace = self._paces.get((width, height))
        return self._paces.get(self._own_size, 1.0) if pace is None else pace
