"""An engine that paints nothing, in a set time: for testing and timing all that stands around a real one."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterSpec, Composition
from safelight.core.errors import AdapterFileError, LatentsFileError
from safelight.core.gate_scorer import GateScorer
from safelight.core.job import Job, PausedRow
from safelight.core.model import ModelSpec, StepTime
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.source import PAINTED, LatentsHandle
from safelight.core.work import Captured

GREY = 128
LATENTS_BYTES = 1000


class NullEngine:
    """Gives flat grey pictures; each step sleeps for `step_s` whatever the batch.

    A picture to start from is given back, grey where its mask wants something painted. Noise falls evenly from 1, and
    what is captured counts as `LATENTS_BYTES`. It takes any file for a LoRA that is not called broken, or for a
    ControlNet if the name begins with "control": for its last model if it begins with "small", else for its first. As
    long as there is a file beside it that ends in `.lock`, it reads on, and makes one that ends in `.reading`.
    """

    def __init__(
        self,
        *,
        step_s: float = 0.0,
        names: Sequence[str] = ("null-large", "null-small"),
        gates: Sequence[GateScorer] = (),
    ) -> None:
        self.gates = tuple(gates)
        self._step_s = step_s
        self._jobs: dict[str, Job] = {}
        self._steps_run: dict[str, int] = {}
        self.resident: set[AdapterHandle] = set()
        self.kept: dict[LatentsHandle, bytes] = {}
        self.folded = NO_ADAPTERS
        self.models = tuple(_spec(name, step_s) for name in names)

    def begin(self, jobs: Sequence[Job]) -> None:
        assert all(self.resident.issuperset(job.handles) for job in jobs)
        missing = [job.level.start for job in jobs if job.level.start and job.level.start not in self.kept]
        if missing:
            raise LatentsFileError(f"{missing[0].id!r} is not here")
        self._jobs |= {job.id: job for job in jobs}
        self._steps_run |= {job.id: 0 for job in jobs}

    def resume(self, job: Job) -> None:
        assert job.paused.file == job.request.prompt.encode()
        self.begin([job])
        self._steps_run[job.id] = job.paused.steps_run

    def pause(self, request_id: str) -> PausedRow:
        job = self._jobs.pop(request_id)
        return PausedRow(steps_run=self._steps_run[request_id], file=job.request.prompt.encode())

    def captured(self, request_id: str) -> Captured | None:
        level = self._jobs[request_id].level
        noise = 1 - (self._steps_run[request_id] + level.first_step - 1) / level.steps
        step = self._steps_run[request_id] + level.first_step - 1
        due = [math.ceil((1 - each) * level.steps - 1e-9) for each in level.captures]
        if step not in due:
            return None
        handle = LatentsHandle(id=f"{request_id}:{noise}")
        self.kept[handle] = request_id.encode()
        noises = tuple(1 - step / level.steps for step in range(level.steps))
        return Captured(request_id=request_id, handle=handle, noise=noise, latents_bytes=LATENTS_BYTES, noises=noises)

    def latents(self, handle: LatentsHandle) -> bytes:
        return self.kept[handle]

    def put_latents(self, handle: LatentsHandle, file: bytes) -> None:
        if file.startswith(b"broken"):
            raise LatentsFileError("it is broken")
        self.kept[handle] = file

    def drop_latents(self, handle: LatentsHandle) -> None:
        del self.kept[handle]

    def equip(self, jobs: Sequence[Job]) -> None:
        assert all(self.resident.issuperset(job.handles) for job in jobs)
        assert all(not self._jobs[job.id].request.loras for job in jobs), "they have their LoRAs"
        self._jobs |= {job.id: job for job in jobs}

    def step(self, request_ids: Sequence[str]) -> tuple[str, ...]:
        if self._step_s:
            time.sleep(self._step_s)
        for request_id in request_ids:
            self._steps_run[request_id] += 1
        return ()

    def reused_step(self, request_id: str) -> bool:
        return False

    def preview(self, request_id: str) -> Pixels:
        return _grey(8, 8)

    def knew_prompt(self, request_id: str) -> bool:
        return False

    def prompt_tokens(self, request_id: str) -> int:
        return len(self._jobs[request_id].request.prompt.split())

    def finish(self, request_ids: Sequence[str]) -> list[Pixels]:
        jobs = [self._jobs.pop(request_id) for request_id in request_ids]
        return [_painted(job.request) for job in jobs]

    def drop(self, request_id: str) -> None:
        self._jobs.pop(request_id, None)

    def is_remote(self, path: Path) -> bool:
        return False

    def read_adapter(self, name: str, path: Path) -> tuple[AdapterSpec, bytes]:
        while path.with_suffix(".lock").exists():
            path.with_suffix(".reading").touch()
            time.sleep(0.001)
        if "broken" in path.name:
            raise AdapterFileError(f"{path.name!r} is broken.")
        model = self.models[-1 if name.startswith("small") else 0]
        is_control = name.startswith("control")
        spec = AdapterSpec(
            name=name,
            kind="controlnet" if is_control else "lora",
            model=model.name,
            weights_bytes=1000,
            ranks=() if is_control else (4,),
        )
        return spec, name.encode()

    def load_adapter(self, handle: AdapterHandle, weights: bytes) -> None:
        assert weights.decode() == handle.name
        self.resident.add(handle)

    def evict_adapter(self, handle: AdapterHandle) -> None:
        assert all(handle not in job.composition.handles for job in self._jobs.values())
        self.resident.remove(handle)
        if handle in self.folded.handles:
            self.folded = NO_ADAPTERS

    def fold(self, model: str, composition: Composition) -> None:
        assert self.resident.issuperset(composition.handles)
        self.folded = composition


def _spec(name: str, step_s: float) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="null",
        width=64,
        height=64,
        size_multiple=16,
        max_side=128,
        steps=25,
        guidance_scale=3.0,
        sampler="euler",
        samplers=("ddim", "euler", "dpm++2m"),
        step_times=tuple(StepTime(denoiser_rows=rows, seconds=max(step_s, 1e-5)) for rows in (1, 2, 4, 8, 16, 32)),
        encode_s=1e-5,
        decode_s=1e-5,
        weights=f"weights of {name}",
    )


def _painted(request: ImageRequest) -> Pixels:
    if request.source is None:
        return _grey(request.width, request.height)
    image, mask = request.source.image, request.source.mask
    levels = bytearray(image.rgb)
    for place, level in enumerate(mask or b""):
        if level == PAINTED:
            levels[3 * place : 3 * place + 3] = [GREY] * 3
    return Pixels(width=image.width, height=image.height, rgb=bytes(levels))


def _grey(width: int, height: int) -> Pixels:
    return Pixels(width=width, height=height, rgb=bytes([GREY]) * (width * height * 3))
