"""An engine that paints nothing, in a set time: for testing and timing all that stands around a real one."""

import time
from collections.abc import Sequence
from pathlib import Path

from safelight.core.adapter import NO_ADAPTERS, AdapterSpec, Composition
from safelight.core.errors import AdapterFileError
from safelight.core.model import ModelSpec, StepTime
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.start import PAINTED, PictureStart
from safelight.core.work import Captured, PausedRow

GREY = 128


class NullEngine:
    """Gives flat grey pictures; each step sleeps for `step_s` whatever the batch.

    A picture to start from is given back, grey where its mask wants something painted.
    Noise falls evenly from 1. It takes any file for a LoRA that is not called broken: for its last model if the name
    begins with "small", else for its first. As long as there is a file beside it that ends in `.lock`, it reads on, and
    makes one that ends in `.reading`.
    """

    def __init__(self, *, step_s: float = 0.0, names: Sequence[str] = ("null-large", "null-small")) -> None:
        self._step_s = step_s
        self._requests: dict[str, ImageRequest] = {}
        self._steps_run: dict[str, int] = {}
        self.resident: set[str] = set()
        self.folded = NO_ADAPTERS
        self.models = tuple(_spec(name, step_s) for name in names)

    def begin(self, requests: Sequence[ImageRequest]) -> None:
        assert all(self.resident.issuperset(request.adapters) for request in requests)
        self._requests |= {request.id: request for request in requests}
        self._steps_run |= {request.id: 0 for request in requests}

    def resume(self, request: ImageRequest, paused: PausedRow) -> None:
        assert paused.file == request.prompt.encode()
        self.begin([request])
        self._steps_run[request.id] = paused.steps_run

    def pause(self, request_id: str) -> PausedRow:
        request = self._requests.pop(request_id)
        return PausedRow(steps_run=self._steps_run[request_id], file=request.prompt.encode())

    def captured(self, request_id: str) -> Captured | None:
        request = self._requests[request_id]
        noise = 1 - (self._steps_run[request_id] - 1) / request.steps
        return Captured(request_id=request_id, noise=noise, file=b"") if noise in request.captures else None

    def equip(self, requests: Sequence[ImageRequest]) -> None:
        assert all(self.resident.issuperset(request.adapters) for request in requests)
        assert all(not self._requests[request.id].loras for request in requests), "they have their LoRAs"
        self._requests |= {request.id: request for request in requests}

    def step(self, request_ids: Sequence[str]) -> tuple[str, ...]:
        if self._step_s:
            time.sleep(self._step_s)
        for request_id in request_ids:
            self._steps_run[request_id] += 1
        return ()

    def preview(self, request_id: str) -> Pixels:
        return _grey(8, 8)

    def prompt_tokens(self, request_id: str) -> int:
        return len(self._requests[request_id].prompt.split())

    def finish(self, request_ids: Sequence[str]) -> list[Pixels]:
        requests = [self._requests.pop(request_id) for request_id in request_ids]
        return [_painted(request) for request in requests]

    def drop(self, request_id: str) -> None:
        self._requests.pop(request_id, None)

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

    def load_adapter(self, handle: str, weights: bytes) -> None:
        assert weights.decode() == handle.rpartition("@")[0]
        self.resident.add(handle)

    def evict_adapter(self, handle: str) -> None:
        assert all(handle not in request.composition.names for request in self._requests.values())
        self.resident.remove(handle)
        if handle in self.folded.names:
            self.folded = NO_ADAPTERS

    def fold(self, model: str, composition: Composition) -> None:
        assert self.resident.issuperset(composition.names)
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
    )


def _painted(request: ImageRequest) -> Pixels:
    if not isinstance(request.start, PictureStart):
        return _grey(request.width, request.height)
    image, mask = request.start.image, request.start.mask
    levels = bytearray(image.rgb)
    for place, level in enumerate(mask or b""):
        if level == PAINTED:
            levels[3 * place : 3 * place + 3] = [GREY] * 3
    return Pixels(width=image.width, height=image.height, rgb=bytes(levels))


def _grey(width: int, height: int) -> Pixels:
    return Pixels(width=width, height=height, rgb=bytes([GREY]) * (width * height * 3))
