"""The measurements: of whole effects of a worker, as its replica asks for them."""

import tempfile
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
from safelight.diffusion.placement import Placement
from safelight.profiles.parts import LoadTimes, Memory, SizeTimes, Spread
from safelight.profiles.profile import Profile
from safelight.worker.calibration.loads import line_through, model_loads, smaller_lora
from safelight.worker.calibration.memory import bytes_of, used_bytes
from safelight.worker.calibration.timing import REPEATS, Timing, once, timed

OWN_ROWS: Final = (1, 2, 4, 8, 16, 32)
OTHER_ROWS: Final = (1, 2, 8, 32)
CONTROLNET_ROWS: Final = (1, 8, 32)
BATCHES: Final = (1, 2, 4, 16)
"""Prompts that are encoded at once, and pictures that are decoded at once."""
CONTROLNET_REPEATS: Final = 5
STEPS: Final = 100
"""Of the rows whose steps are measured: more than are run."""

Note = Callable[[int, int], None]


@dataclass(kw_only=True)
class _Figures:
    """What was measured so far."""

    steps: dict[tuple[int, int], list[StepTime]] = field(default_factory=dict)
    decode_s: dict[tuple[int, int], float] = field(default_factory=dict)
    source_s: dict[tuple[int, int], float] = field(default_factory=dict)
    encode_batch: list[tuple[int, float]] = field(default_factory=list)
    decode_batch: list[tuple[int, float]] = field(default_factory=list)
    row_bytes: int = 0
    picture_bytes: int = 0
    controlnet: dict[tuple[int, int], list[StepTime]] = field(default_factory=dict)
    loads: LoadTimes = field(default_factory=LoadTimes)
    model_loads: LoadTimes = field(default_factory=LoadTimes)
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
        folder: Path,
        max_denoiser_rows: int,
        placement: Placement,
        note: Note,
    ) -> None:
        """Take an engine with one model.

        Args:
            engine: with one model.
            adapters: folders and files of LoRAs and ControlNets; the first of each kind that fits is measured.
            folder: of the model.
            max_denoiser_rows: of the largest call.
            placement: of the model.
            note: gets how many measurements are over, and how many there are.
        """
        self._engine = engine
        (self._spec,) = engine.models
        self._adapters = adapters
        self._most_rows = max_denoiser_rows
        self._folder = folder
        self._placement = placement
        self._wait = placement.wait
        self._note = note
        self._numbers = count()
        self._figures = _Figures()

    def profile(self, *, device: str, source: str) -> Profile:
        """Measure everything, and return the profile."""
        spec, figures = self._spec, self._figures
        weights_bytes = used_bytes(self._placement.device) or _file_bytes(self._folder)
        self._run(self._plan())
        own = (spec.width, spec.height)
        return Profile(
            model=spec.name,
            device=device,
            source=source,
            width=spec.width,
            height=spec.height,
            step_times=tuple(figures.steps[own]),
            encode_s=figures.encode_batch[0][1],
            decode_s=figures.decode_s[own],
            encode_picture_s=figures.source_s[own],
            encode_batch=tuple(figures.encode_batch),
            decode_batch=tuple(figures.decode_batch),
            sizes=tuple(
                SizeTimes(
                    width=width,
                    height=height,
                    step_times=tuple(times),
                    decode_s=figures.decode_s[width, height],
                    encode_picture_s=figures.source_s[width, height],
                    controlnet_times=tuple(figures.controlnet.get((width, height), ())),
                )
                for (width, height), times in figures.steps.items()
                if (width, height) != own
            ),
            extrapolates=False,
            controlnet_times=tuple(figures.controlnet.get(own, ())),
            adapter_costs=figures.costs or spec.adapter_costs,
            restore_s=figures.restore_s,
            loads=figures.loads,
            model_loads=figures.model_loads,
            memory=Memory(
                weights_bytes=weights_bytes, row_bytes=figures.row_bytes, picture_bytes=figures.picture_bytes
            ),
            spread=Spread(step=median(figures.step_spreads), **figures.spreads),
        )

    def _plan(self) -> list[Callable[[], None]]:
        own = (self._spec.width, self._spec.height)
        plan: list[Callable[[], None]] = [self._measure_memory, self._measure_encoding, self._measure_decoding]
        for size in sizes_of(self._spec):
            measured = (rows for rows in (OWN_ROWS if size == own else OTHER_ROWS) if rows <= self._most_rows)
            plan += [partial(self._measure_steps, size, rows) for rows in measured]
            plan.append(partial(self._measure_outside, size))
        return [*plan, self._measure_lora, self._measure_controlnet, self._measure_model_load]

    def _run(self, plan: Sequence[Callable[[], None]]) -> None:
        for done, measure in enumerate(plan):
            self._note(done, len(plan))
            measure()
        self._note(len(plan), len(plan))

    def _measure_encoding(self) -> None:
        """Measure encoding one prompt, and several at once."""
        for prompts in BATCHES:
            timing = self._timed(partial(self._encode, prompts))
            self._figures.encode_batch.append((prompts, timing.typical_s))
            if prompts == 1:
                self._figures.spreads["encode"] = timing.spread

    def _encode(self, prompts: int) -> None:
        self._drop(self._begin_pictures(prompts, self._own))

    def _measure_decoding(self) -> None:
        """Measure decoding one picture, and several at once, after each other so that the machine is equally warm."""
        for pictures in BATCHES:
            timing = self._timed_decoding(self._own, pictures)
            self._figures.decode_batch.append((pictures, timing.typical_s))

    def _measure_memory(self) -> None:
        """Measure the memory of a full call, and of decoding."""
        device, rows = self._placement.device, self._most_rows
        begun: list[tuple[str, ...]] = []

        def call() -> None:
            begun.append(self._begin(rows, self._own, steps=1))
            self._engine.step(begun[-1])

        self._figures.row_bytes = bytes_of(call, device=device) // rows
        (ids,) = begun
        some, others = ids[:4], ids[4:]
        self._drop(others)
        self._figures.picture_bytes = bytes_of(lambda: self._engine.finish(some), device=device) // len(some)

    def _measure_steps(self, size: tuple[int, int], rows: int) -> None:
        ids = self._begin(rows, size)
        timing = self._timed(lambda: self._engine.step(ids))
        self._drop(ids)
        self._figures.steps.setdefault(size, []).append(StepTime(denoiser_rows=rows, seconds=timing.typical_s))
        self._figures.step_spreads.append(timing.spread)

    def _measure_outside(self, size: tuple[int, int]) -> None:
        """Measure decoding, and encoding a start picture."""
        timing = self._timed_decoding(size, 1)
        self._figures.decode_s[size] = timing.typical_s
        if size == self._own:
            self._figures.spreads["decode"] = timing.spread
        with_source = self._timed(lambda: self._drop(self._begin(1, size, source=_picture(size))))
        self._figures.source_s[size] = max(0.0, with_source.typical_s - self._figures.encode_batch[0][1])

    def _timed_decoding(self, size: tuple[int, int], pictures: int) -> Timing:
        """Time decoding pictures at once; they have been painted before."""
        waiting: list[tuple[str, ...]] = []
        for _ in range(REPEATS + 1):
            waiting.append(self._begin_pictures(pictures, size, steps=1))
            self._engine.step(waiting[-1])
        timing = self._timed(lambda: self._engine.finish(waiting.pop()))
        for ids in waiting:
            self._drop(ids)
        return timing

    def _measure_lora(self) -> None:
        """Measure loads of a LoRA, and folding and unfolding it."""
        found = self._find("lora")
        if found is None:
            return
        handle, path, weights_bytes = found
        spec, weights = self._engine.read_adapter(handle.name, path)
        read, copied = self._timed_load(handle, path)
        small = self._small_load(handle, path)
        self._figures.spreads["load"] = read.spread
        self._figures.loads = LoadTimes(
            disk=line_through(small and (small[0], small[1].typical_s), (weights_bytes, read.typical_s)),
            host=line_through(small and (small[0], small[2].typical_s), (weights_bytes, copied.typical_s)),
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

    def _timed_load(self, handle: AdapterHandle, path: Path) -> tuple[Timing, Timing]:
        """Time reading a LoRA, and copying it to the device."""
        _, weights = self._engine.read_adapter(handle.name, path)

        def copy() -> None:
            self._engine.load_adapter(handle, weights)
            self._wait()
            self._engine.evict_adapter(handle)

        return self._timed(lambda: self._engine.read_adapter(handle.name, path)), self._timed(copy)

    def _small_load(self, handle: AdapterHandle, path: Path) -> tuple[int, Timing, Timing] | None:
        """Return the bytes and times of a part of a LoRA; None if it has no part that can be used alone."""
        with tempfile.TemporaryDirectory() as folder:
            part = smaller_lora(path, Path(folder))
            if part is None:
                return None
            try:
                spec, _ = self._engine.read_adapter(handle.name, part)
            except AdapterFileError:
                return None
            return spec.weights_bytes, *self._timed_load(handle, part)

    def _measure_model_load(self) -> None:
        self._figures.model_loads = model_loads(self._folder, placement=self._placement, wait=self._wait)

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
        for size in sizes_of(self._spec):
            for rows in (rows for rows in CONTROLNET_ROWS if rows <= self._most_rows):
                added_s = self._added_s(rows, size, handle)
                self._figures.controlnet.setdefault(size, []).append(StepTime(denoiser_rows=rows, seconds=added_s))
        self._engine.evict_adapter(handle)

    def _added_s(self, rows: int, size: tuple[int, int], controlnet: AdapterHandle) -> float:
        """Return the seconds by which a call with a ControlNet is longer than the same call without it."""
        plain, steered = self._begin(rows, size), self._begin(rows, size, controlnet=controlnet)
        added = [
            self._once(partial(self._engine.step, steered)) - self._once(partial(self._engine.step, plain))
            for _ in range(CONTROLNET_REPEATS)
        ][1:]
        self._drop((*plain, *steered))
        return max(0.0, median(added))

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

    def _begin_pictures(self, pictures: int, size: tuple[int, int], *, steps: int = STEPS) -> tuple[str, ...]:
        """Begin so many pictures, each with one denoiser row."""
        jobs = [self._job(size, steps, 1.0, None, None) for _ in range(pictures)]
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


def _file_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*/*.safetensors"))
