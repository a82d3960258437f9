"""A picture from a worker process that is started for it, and ends with it."""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from pydantic import ValidationError

from safelight.adapters.registry import handle_of
from safelight.core.adapter import AdapterSpec
from safelight.core.errors import AdapterFileError, RequestError, UnknownAdapter, WorkFailed
from safelight.core.frames import decode_event, frame, read_body
from safelight.core.request import ImageRequest
from safelight.core.work import (
    AdapterAdded,
    AdapterRefused,
    AddAdapter,
    Failed,
    Finished,
    Job,
    Ready,
    Run,
    Stepped,
    WorkerCommand,
    WorkerEvent,
)
from safelight.once.picture import Body, Painted, Progress
from safelight.server.image_requests import requests_of_images
from safelight.server.orders import find_model
from safelight.server.picture_encoder import encode
from safelight.server.wire.images import EditRequest, GenerationRequest
from safelight.server.wire.validation_errors import describe

FIRST = 1
"""The generation of all adapters of a worker that paints one picture."""


class _Worker:
    """One worker process, spoken to in turn; what it prints is kept for when it dies."""

    def __init__(self, process: subprocess.Popen[bytes], log: BinaryIO) -> None:
        self._input = cast(BinaryIO, process.stdin)
        self._output = cast(BinaryIO, process.stdout)
        self._log = log

    def tell(self, command: WorkerCommand) -> None:
        self._input.write(frame(command))
        self._input.flush()

    def events(self) -> Iterator[WorkerEvent]:
        """Yield what the worker reports; raises WorkFailed when it dies."""
        while (body := read_body(self._output)) is not None:
            yield decode_event(body)
        raise WorkFailed(self._last_words, reason="worker_died")

    @property
    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
        return f"The worker ended without a picture: {lines[-1].removeprefix('error: ')}"


def paint_here(body: Body, *, argv: Sequence[str], adapters: Mapping[str, Path], progress: Progress) -> Painted:
    """Start a worker by its command line `argv` and let it paint what `body` asks for, with `adapters` by name.

    Raises:
        RequestError: if the picture cannot be asked for like that.
        AdapterFileError: if an adapter that it names cannot be used.
        WorkFailed: if the worker gives it up, or dies.
    """
    wanted = _checked(body)
    names = [*(use.name for use in wanted.uses), *(choice.name for choice in wanted.controls or ())]
    paths = {name: _path_of(name, adapters) for name in names}
    with _started(argv) as worker:
        events = worker.events()
        model = find_model(wanted.model, {spec.name: spec for spec in _ready(events).models})
        (request,) = requests_of_images(wanted, model, arrived_s=0.0)
        for name, path in paths.items():
            _add(worker, events, name, path)
        worker.tell(Run(job=Job(request=_bound(request))))
        for event in events:
            match event:
                case Stepped(step=step, steps=steps):
                    progress(step, steps)
                case Failed(message=message):
                    raise WorkFailed(message, reason="failed")
                case Finished():
                    return _painted(request, event, wanted)
    raise AssertionError("events end with an error")


def look_at_adapter(name: str, path: Path, *, argv: Sequence[str]) -> AdapterSpec:
    """Start a worker and have it read an adapter for one of its models; returns what it is.

    Raises:
        AdapterFileError: if it cannot be used.
        WorkFailed: if the worker dies.
    """
    with _started(argv) as worker:
        events = worker.events()
        _ready(events)
        return _add(worker, events, name, path)


def _bound(request: ImageRequest) -> ImageRequest:
    """Return the request with handles in the place of names."""
    loras = (msgspec.structs.replace(use, name=handle_of(use.name, FIRST)) for use in request.composition.uses)
    controls = (msgspec.structs.replace(use, name=handle_of(use.name, FIRST)) for use in request.controls)
    return msgspec.structs.replace(request, loras=tuple(loras), controls=tuple(controls))


def _ready(events: Iterator[WorkerEvent]) -> Ready:
    return next(event for event in events if isinstance(event, Ready))


def _add(worker: _Worker, events: Iterator[WorkerEvent], name: str, path: Path) -> AdapterSpec:
    worker.tell(AddAdapter(handle=handle_of(name, FIRST), name=name, path=str(path)))
    verdict = next(event for event in events if isinstance(event, AdapterAdded | AdapterRefused))
    if isinstance(verdict, AdapterRefused):
        raise AdapterFileError(verdict.message)
    return verdict.spec


def _path_of(name: str, adapters: Mapping[str, Path]) -> Path:
    if name not in adapters:
        raise UnknownAdapter(name, sorted(adapters))
    return adapters[name]


def _checked(body: Body) -> GenerationRequest:
    kind = EditRequest if "image" in body else GenerationRequest
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        problem = describe(error.errors(), tuple(kind.model_fields))
        raise RequestError(problem.message, param=problem.param, code=problem.code) from None


@contextmanager
def _started(argv: Sequence[str]) -> Iterator[_Worker]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - the command line is made by ours
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        try:
            yield _Worker(process, log)
        finally:
            process.kill()
            process.communicate()


def _painted(request: ImageRequest, finished: Finished, wanted: GenerationRequest) -> Painted:
    return Painted(
        content=encode(finished.picture, wanted.output_format or "png"),
        by="this machine",
        model=request.model,
        steps=request.steps,
        steps_run=request.steps_to_run,
        steps_without_loras=finished.steps_without_loras,
        seed=request.seed,
        sampler=request.sampler,
        seconds=finished.compute_s,
    )
