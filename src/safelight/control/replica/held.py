"""The state of each job in a replica."""

from collections import Counter
from dataclasses import dataclass, field

from safelight.core.adapter import AdapterHandle
from safelight.core.job import Job


@dataclass(slots=True, eq=False, kw_only=True)
class HeldJob:
    """A job from `Run` to its end.

    Attributes:
        steps_run: how many of its steps are over, `steps_without_loras` of them without its LoRAs.
        steps_reused: of the steps, those that took over the prediction of an earlier one.
        compute_s: seconds of the encoding and ticks that included it.
        is_scheduled: whether ticks may take it.
        has_begun: whether it has a row in the engine.
        lacks_loras: whether that row still runs without its LoRAs.
        losses: how many times it lost each adapter during its steps.
    """

    job: Job
    steps_run: int = 0
    steps_without_loras: int = 0
    compute_s: float = 0.0
    is_scheduled: bool = False
    has_begun: bool = False
    lacks_loras: bool = False
    steps_reused: int = 0
    losses: Counter[AdapterHandle] = field(default_factory=Counter)

    @classmethod
    def of(cls, job: Job) -> "HeldJob":
        """Return the state of a new job, of which another worker may have run some steps."""
        if job.paused is None:
            return cls(job=job)
        return cls(
            job=job,
            steps_run=job.paused.steps_run,
            compute_s=job.paused.compute_s,
            steps_without_loras=job.paused.steps_without_loras,
        )

    @property
    def grace_left(self) -> int:
        """How many more steps it may run without its LoRAs; none once it has run with them."""
        paused = self.job.paused
        came_with_loras = paused is not None and not paused.lacks_loras
        if came_with_loras or self.steps_run > self.steps_without_loras:
            return 0
        return max(0, self.job.request.grace_steps - self.steps_without_loras)

    @property
    def wants_preview(self) -> bool:
        """Whether a preview is due after the last step."""
        every = self.job.preview_every
        is_last = self.steps_run == self.job.level.steps_to_run
        return every > 0 and self.steps_run % every == 0 and not is_last

    def began(self, seconds: float, *, is_bare: bool) -> None:
        """Note that its row was begun or resumed."""
        self.compute_s += seconds
        self.has_begun = True
        self.lacks_loras = self.job.paused.lacks_loras if self.job.paused is not None else is_bare

    def equipped(self, seconds: float) -> None:
        """Note that its row has its LoRAs from now on."""
        self.compute_s += seconds
        self.lacks_loras = False

    def stepped(self, seconds: float, *, is_bare: bool, steps: int = 1) -> None:
        """Note that its row has run some steps, which took `seconds`."""
        self.steps_run += steps
        self.steps_without_loras += steps * is_bare
        self.compute_s += seconds
