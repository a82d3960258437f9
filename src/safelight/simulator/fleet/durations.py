"""How long the effects of a replica take, by the profiles of its models."""

from collections.abc import Iterable, Mapping, Sequence

from safelight.control.replica.effects import Fold, Step
from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, Composition
from safelight.core.job import Job
from safelight.simulator.simulation import SimulatedModel, SimulatedWorker


class Durations:
    """Seconds of one worker's effects.

    Attributes:
        slowness: how many times as long everything takes at present.
    """

    def __init__(self, worker: SimulatedWorker, *, seed: Sequence[int]) -> None:
        self.slowness = 1.0
        self._models: Mapping[str, SimulatedModel] = {model.spec.name: model for model in worker.models}
        self._transfer_s_per_byte = worker.transfer_s_per_byte
        self._per_speed = 1 / worker.speed
        self._seed = seed
        self._folded: dict[str, Composition] = {}

    def encoding_s(self, jobs: Iterable[Job]) -> float:
        """Return the seconds of encoding the prompts and start pictures of `jobs`, one after the other."""
        seconds = 0.0
        for job in jobs:
            model, width, height = job.kind
            has_source = job.request.source is not None
            seconds += self._models[model].profile.encoding_s(width=width, height=height, has_source=has_source)
        return self._scaled(seconds)

    def resuming_s(self, job: Job) -> float:
        """Return the seconds of beginning a row from latents that come from another worker."""
        sent = 0 if job.paused is None else len(job.paused.file)
        return self.encoding_s([job]) + sent * self._transfer_s_per_byte

    def folding_s(self, fold: Fold) -> float:
        """Return the seconds of a fold, and note what is in the weights then."""
        self._folded[fold.model] = fold.composition
        costs = self._models[fold.model].profile.adapter_costs
        return self._scaled(0.0 if costs is None else costs.switch_s)

    def evicted(self, handle: AdapterHandle) -> None:
        """Note that an adapter has left the device, and what was folded with it is in no weights any more."""
        self._folded = {model: held for model, held in self._folded.items() if handle not in held.handles}

    def step_s(self, step: Step) -> float:
        """Return the seconds of one denoiser call."""
        profile = self._models[step.model].profile
        seconds = profile.tick_s(step.denoiser_rows, width=step.width, height=step.height)
        costs = profile.adapter_costs
        if step.misfit_rows and costs is not None:
            is_plain = self._folded.get(step.model, NO_ADAPTERS).is_empty
            overhead = costs.unmerged_overhead if is_plain else costs.correction_overhead
            seconds *= 1 + overhead * step.misfit_rows / step.denoiser_rows
        return self._scaled(seconds)

    def decoding_s(self, jobs: Iterable[Job]) -> float:
        """Return the seconds of decoding the pictures of `jobs`, one after the other."""
        seconds = 0.0
        for job in jobs:
            model, width, height = job.kind
            seconds += self._models[model].profile.decoding_s(width=width, height=height)
        return self._scaled(seconds)

    def _scaled(self, seconds: float) -> float:
        return seconds * self.slowness * self._per_speed
