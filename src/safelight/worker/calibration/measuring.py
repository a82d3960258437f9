"""The measurements: of whole effects of a worker, as its replica asks for them."""

import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

from safelight.core.adapter import (
    NO_ADAPTERS,
    AdapterHandle,
    AdapterKind,
    AdapterUse,
    Composition,
    ControlNetUse,
    composition_of,
)
from safelight.core.errors import AdapterFileError
from safelight.core.job import Job
from safelight.core.level import Level
from safelight.core.model import AdapterCosts, ModelSpec, StepTime
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.source import PictureSource
from safelight.diffusion.engine import DiffusionEngine
from safelight.profiles.parts import LoadTime, LoadTimes, Memory, SizeTimes, Spread
from safelight.profiles.profile import Profile
from safelight.worker.calibration.timing import Timing, once, timed

OWN_ROWS: Final = (1, 2, 4, 8, 16, 32)
OTHER_ROWS: Final = (1, 2, 8, 32)
CONTROLNET_ROWS: Final = (2, 8)
STEPS: Final = 100
"""Of the rows whose steps are measured: more than are run."""

Note = Callable[[int, int], None]


@dataclass(kw_only=True)
class _Figures:
    """What was measured so far."""

    steps: dict[tuple[int, int], list[StepTime]] = field(default_factory=dict)
    decode_s: dict[tuple[int, int], float] = field(default_factory=dict)
    source_s: dict[tuple[int, int], float] = field(default_factory=dict)
    encode_s: float = 0.0
    row_bytes: int = 0
    controlnet: list[StepTime] = field(default_factory=list)
    loads: LoadTimes = field(default_factory=LoadTimes)
    costs: AdapterCosts | None = None
    restore_s: float | None = None
    step_spreads: list[float] = field(default_factory=list)
    spreads: dict[str, float] = field(default_factory=dict)


class Calibration:
    """Measures one model that an engine has loaded.

    Durations are those of whole effects, so they have everything in them that a worker does around the networks.
    """

    def __init__(
        self,
        engine: DiffusionEngine,
        *,
        adapters: Sequence[Path],
        max_denoiser_rows: int,
        wait: Callable[[], None],
        note: Note,
    ) -> None:
        """Take an engine with one model.

        Args:
            engine: with one model.
            adapters: folders and files of LoRAs and ControlNets; the first of each kind that fits is measured.
            max_denoiser_rows: of the largest call.
            wait: returns when the device has done all that it was given.
            note: gets how many measurements are over, and how many there are.
        """
        self._engine = engine
        (self._spec,) = engine.models
        self._adapters = adapters
        self._most_rows = max_denoiser_rows
        self._wait = wait
        self._note = note
        self._numbers = count()
        self._figures = _Figures()

    def profile(self, *, device: str, source: str, weights_bytes: int) -> Profile:
        """Measure everything, and return the profile."""
        spec, figures = self._spec, self._figures
        self._run(self._plan())
        own = (spec.width, spec.height)
        return Profile(
            model=spec.name,
            device=device,
            source=source,
            width=spec.width,
            height=spec.height,
            step_times=tuple(figures.steps[own]),
            encode_s=figures.encode_s,
            decode_s=figures.decode_s[own],
            encode_picture_s=figures.source_s[own],
            sizes=tuple(
                SizeTimes(
                    width=width,
                    height=height,
                    step_times=tuple(times),
                    decode_s=figures.decode_s[width, height],
                    encode_picture_s=figures.source_s[width, height],
                )
                for (width, height), times in figures.steps.items()
                if (width, height) != own
            ),
            extrapolates=False,
            controlnet_times=tuple(figures.controlnet),
            adapter_costs=figures.costs or spec.adapter_costs,
            restore_s=figures.restore_s,
            loads=figures.loads,
            memory=Memory(weights_bytes=weights_bytes, row_bytes=figures.row_bytes),
            spread=Spread(step=median(figures.step_spreads), **figures.spreads),
        )

    def _plan(self) -> list[Callable[[], None]]:
        own = (self._spec.width, self._spec.height)
        plan: list[Callable[[], None]] = [self._measure_encoding]
        for size in sizes_of(self._spec):
            measured = (rows for rows in (OWN_ROWS if size == own else OTHER_ROWS) if rows <= self._most_rows)
            plan += [partial(self._measure_steps, size, rows) for rows in measured]
            plan.append(partial(self._measure_outside, size))
        return [*plan, self._measure_lora, self._measure_controlnet]

    def _run(self, plan: Sequence[Callable[[], None]]) -> None:
        for done, measure in enumerate(plan):
            self._note(done, len(plan))
            measure()
        self._note(len(plan), len(plan))

    def _measure_encoding(self) -> None:
        timing = self._timed(lambda: self._drop(self._begin(1, self._own)))
        self._figures.encode_s, self._figures.spreads["encode"] = timing.typical_s, timing.spread

    def _measure_steps(self, size: tuple[int, int], rows: int) -> None:
        before = _peak_bytes()
        ids = self._begin(rows, size)
        timing = self._timed(lambda: self._engine.step(ids))
        self._drop(ids)
        self._figures.steps.setdefault(size, []).append(StepTime(denoiser_rows=rows, seconds=timing.typical_s))
        self._figures.step_spreads.append(timing.spread)
        if size == self._own and rows > 1:
            grown = max(0, _peak_bytes() - before)
            self._figures.row_bytes = max(self._figures.row_bytes, grown // rows)

    def _measure_outside(self, size: tuple[int, int]) -> None:
        """Measure decoding, and encoding a start picture."""
        waiting: list[tuple[str, ...]] = []

        def prepare() -> None:
            ids = self._begin(1, size, steps=1)
            self._engine.step(ids)
            waiting.append(ids)

        for _ in range(9):
            prepare()
        timing = self._timed(lambda: self._engine.finish(waiting.pop()))
        for ids in waiting:
            self._drop(ids)
        self._figures.decode_s[size] = timing.typical_s
        if size == self._own:
            self._figures.spreads["decode"] = timing.spread
        with_source = self._timed(lambda: self._drop(self._begin(1, size, source=_picture(size))))
        self._figures.source_s[size] = max(0.0, with_source.typical_s - self._figures.encode_s)

    def _measure_lora(self) -> None:
        """Measure loads of a LoRA, and folding and unfolding it."""
        found = self._find("lora")
        if found is None:
            return
        handle, path, weights_bytes = found
        spec, weights = self._engine.read_adapter(handle.name, path)
        read = self._timed(lambda: self._engine.read_adapter(handle.name, path))

        def copy() -> None:
            self._engine.load_adapter(handle, weights)
            self._wait()
            self._engine.evict_adapter(handle)

        copied = self._timed(copy)
        self._figures.spreads["load"] = read.spread
        self._figures.loads = LoadTimes(
            disk=LoadTime(s_per_byte=read.typical_s / weights_bytes),
            host=LoadTime(s_per_byte=copied.typical_s / weights_bytes),
        )
        self._engine.load_adapter(handle, weights)
        folded = composition_of([AdapterUse(handle=handle, scale=1.0)])
        fold, restore = self._timed_folds(spec.model, folded)
        self._engine.evict_adapter(handle)
        costs = self._spec.adapter_costs
        if costs is not None:
            self._figures.costs = AdapterCosts(
                switch_s=fold,
                unmerged_overhead=costs.unmerged_overhead,
                correction_overhead=costs.correction_overhead,
            )
            self._figures.restore_s = restore

    def _timed_folds(self, model: str, composition: Composition) -> tuple[float, float]:
        """Return the typical seconds of folding a composition, and of unfolding it."""
        folds, restores = [], []
        for _ in range(5):
            folds.append(self._once(lambda: self._engine.fold(model, composition)))
            restores.append(self._once(lambda: self._engine.fold(model, NO_ADAPTERS)))
        return median(folds[1:]), median(restores[1:])

    def _measure_controlnet(self) -> None:
        """Measure what a ControlNet adds to calls, interleaved with the same calls without it."""
        found = self._find("controlnet")
        if found is None:
            return
        handle, path, _ = found
        _, weights = self._engine.read_adapter(handle.name, path)
        self._engine.load_adapter(handle, weights)
        for rows in (rows for rows in CONTROLNET_ROWS if rows <= self._most_rows):
            plain, steered = self._begin(rows, self._own), self._begin(rows, self._own, controlnet=handle)
            added = [
                self._once(partial(self._engine.step, steered)) - self._once(partial(self._engine.step, plain))
                for _ in range(6)
            ][1:]
            self._figures.controlnet.append(StepTime(denoiser_rows=rows, seconds=max(0.0, median(added))))
            self._drop((*plain, *steered))
        self._engine.evict_adapter(handle)

    @property
    def _own(self) -> tuple[int, int]:
        return self._spec.width, self._spec.height

    def _timed(self, work: Callable[[], object]) -> Timing:
        return timed(work, wait=self._wait)

    def _once(self, work: Callable[[], object]) -> float:
        return once(work, wait=self._wait)

    def _begin(
        self,
        rows: int,
        size: tuple[int, int],
        *,
        steps: int = STEPS,
        source: Pixels | None = None,
        controlnet: AdapterHandle | None = None,
    ) -> tuple[str, ...]:
        """Begin pictures whose calls have `rows` denoiser rows: two for each picture, unless there is only one."""
        pictures, guidance = (rows, 1.0) if rows == 1 or self._spec.guidance != "classifier-free" else (rows // 2, 3.0)
        jobs = [self._job(size, steps, guidance, source, controlnet) for _ in range(pictures)]
        self._engine.begin(jobs)
        return tuple(job.id for job in jobs)

    def _job(
        self,
        size: tuple[int, int],
        steps: int,
        guidance_scale: float,
        source: Pixels | None,
        controlnet: AdapterHandle | None,
    ) -> Job:
        number, (width, height) = next(self._numbers), size
        uses = () if controlnet is None else (ControlNetUse(name=controlnet.name, scale=1.0, image=_picture(size)),)
        request = ImageRequest(
            id=str(number),
            prompt=f"a picture with the number {number}",
            width=width,
            height=height,
            seed=number,
            arrived_s=0.0,
            controlnets=uses,
            source=None if source is None else PictureSource(image=source, strength=1.0),
        )
        level = Level(
            model=self._spec.name,
            steps=steps,
            guidance_scale=guidance_scale,
            guidance=self._spec.guidance,
            sampler=self._spec.sampler,
        )
        return Job(request=request, level=level, adapters=() if controlnet is None else (controlnet,))

    def _drop(self, ids: Sequence[str]) -> None:
        for request_id in ids:
            self._engine.drop(request_id)

    def _find(self, kind: AdapterKind) -> tuple[AdapterHandle, Path, int] | None:
        """Return the first adapter of a kind that fits the model, with its bytes."""
        for path in self._adapters:
            try:
                spec, _ = self._engine.read_adapter(path.stem, path)
            except AdapterFileError:
                continue
            if spec.kind == kind and spec.weights_bytes:
                return AdapterHandle(name=spec.name, generation=0), path, spec.weights_bytes
        return None


def sizes_of(spec: ModelSpec) -> tuple[tuple[int, int], ...]:
    """Return the sizes to measure: the model's own, about half and about twice its pixels."""
    own = (spec.width, spec.height)

    def near(factor: float) -> tuple[int, int]:
        sides = (spec.size_multiple * max(1, round(side * factor / spec.size_multiple)) for side in own)
        width, height = (min(side, spec.max_side) for side in sides)
        return width, height

    return tuple(dict.fromkeys((own, near(0.75), near(1.5))))


def _picture(size: tuple[int, int]) -> Pixels:
    width, height = size
    return Pixels(width=width, height=height, rgb=bytes(3 * width * height))


def _peak_bytes() -> int:
    """Return the largest memory that this process has used so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
