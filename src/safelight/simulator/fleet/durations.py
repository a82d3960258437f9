"""How long the effects of a replica take, by the profiles of its models."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from safelight.control.replica.effects import Fold, Step
from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, Composition
from safelight.core.job import Job
from safelight.profiles.profile import Profile
from safelight.simulator.simulation import SimulatedModel, SimulatedWorker


class Durations:
    """Seconds of one worker's effects; those with a spread are drawn from a gamma distribution.

    It has the profile's mean and spread exactly, gives no time below 0, and the mean of n equal calls is of it, too.

    Attributes:
        slowness: how many times as long everything takes at present.
    """

    def __init__(self, worker: SimulatedWorker, *, seed: Sequence[int]) -> None:
        self.slowness = 1.0
        self._models: Mapping[str, SimulatedModel] = {model.spec.name: model for model in worker.models}
        self._transfer_s_per_byte = worker.transfer_s_per_byte
        self._per_speed = 1 / worker.speed
        self._rng = np.random.default_rng(seed) if any(_varies(model.profile) for model in worker.models) else None
        self._load_spread = max((model.profile.spread.load for model in worker.models), default=0.0)
        self._folded: dict[str, Composition] = {}

    def encoding_s(self, jobs: Sequence[Job]) -> float:
        """Return the seconds of encoding the prompts of `jobs` at once, and their start pictures one by one."""
        seconds = 0.0
        for model, prompts in Counter(job.kind[0] for job in jobs).items():
            profile = self._models[model].profile
            seconds += profile.prompts_s(prompts) * self._factor(profile.spread.encode)
        for model, width, height in (job.kind for job in jobs if job.request.source is not None):
            profile = self._models[model].profile
            seconds += profile.start_picture_s(width=width, height=height) * self._factor(profile.spread.encode)
        return self._scaled(seconds)

    def resuming_s(self, job: Job) -> float:
        """Return the seconds of beginning a row from latents that come from another worker."""
        sent = 0 if job.paused is None else len(job.paused.file)
        return self.encoding_s([job]) + sent * self._transfer_s_per_byte * self.slowness

    def folding_s(self, fold: Fold) -> float:
        """Return the seconds of a fold, or of an unfold, and note what is in the weights then."""
        self._folded[fold.model] = fold.composition
        profile = self._models[fold.model].profile
        if fold.composition.is_empty and profile.restore_s is not None:
            return self._scaled(profile.restore_s)
        return self._scaled(0.0 if profile.adapter_costs is None else profile.adapter_costs.switch_s)

    def evicted(self, handle: AdapterHandle) -> None:
        """Note that an adapter has left the device, and what was folded with it is in no weights any more."""
        self._folded = {model: held for model, held in self._folded.items() if handle not in held.handles}

    def step_s(self, step: Step, jobs: Iterable[Job], *, steps: int = 1) -> float:
        """Return the seconds of one denoiser call over the rows of `jobs`, on average over `steps` such calls."""
        profile = self._models[step.model].profile
        if step.parts:
            seconds = profile.mixed_s(step.parts)
        else:
            seconds = profile.tick_s(step.denoiser_rows, width=step.width, height=step.height)
        costs = profile.adapter_costs
        if step.misfit_rows and costs is not None:
            is_plain = self._folded.get(step.model, NO_ADAPTERS).is_empty
            overhead = costs.unmerged_overhead if is_plain else costs.correction_overhead
            seconds *= 1 + overhead * step.misfit_rows / step.denoiser_rows
        if profile.has_controlnet_times or not profile.extrapolates:
            seconds += _controlnets_s(profile, step, jobs)
        return self._scaled(seconds * self._factor(profile.spread.step / math.sqrt(steps)))

    def decoding_s(self, jobs: Iterable[Job]) -> float:
        """Return the seconds of decoding the pictures of `jobs`, those of one size at once."""
        seconds = 0.0
        for (model, width, height), count in Counter(job.kind for job in jobs).items():
            profile = self._models[model].profile
            decode_s = profile.decoding_s(width=width, height=height, pictures=count)
            seconds += decode_s * self._factor(profile.spread.decode)
        return self._scaled(seconds)

    def load_factor(self) -> float:
        """Return how many times as long as on average a load takes now."""
        return self._factor(self._load_spread) * self.slowness

    def _factor(self, spread: float) -> float:
        """Draw a time as a share of its mean."""
        if not spread or self._rng is None:
            return 1.0
        shape = 1 / spread**2
        return float(self._rng.gamma(shape)) / shape

    def _scaled(self, seconds: float) -> float:
        return seconds * self.slowness * self._per_speed


def _varies(profile: Profile) -> bool:
    spread = profile.spread
    return max(spread.step, spread.encode, spread.decode, spread.load) > 0


def _controlnets_s(profile: Profile, step: Step, jobs: Iterable[Job]) -> float:
    """Return the seconds that the ControlNets of a call add, each over its own rows."""
    rows = Counter[str]()
    for job in jobs:
        for use in job.request.controlnets:
            rows[use.name] += job.level.denoiser_rows
    return sum(profile.controlnet_s(count, width=step.width, height=step.height) for count in rows.values())
