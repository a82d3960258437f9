"""A picture from a worker process that is started for it, and ends with it."""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from pydantic import ValidationError

from safelight.control.levels.as_asked import AsAsked
from safelight.control.levels.constraints import find_model
from safelight.core.adapter import AdapterHandle, AdapterSpec
from safelight.core.errors import AdapterFileError, RequestError, UnknownAdapter, WorkFailed
from safelight.core.frames import decode_event, frame, read_body
from safelight.core.job import Job
from safelight.core.work import (
    AdapterAdded,
    AdapterRefused,
    AddAdapter,
    Failed,
    Finished,
    Ready,
    Run,
    Ticked,
    WorkerCommand,
    WorkerEvent,
)
from safelight.oneshot.picture import Body, Painted, Progress
from safelight.server.image_requests import requests_of_images
from safelight.server.wire.images import EditRequest, GenerationRequest
from safelight.server.wire.validation_errors import describe
from safelight.service.picture_files import encode

FIRST = 1
"""The generation of all adapters of a worker that paints one picture."""


class _Worker:
    """One worker process, spoken to in turn; what it prints is kept for when it dies."""

    def __init__(self, process: subprocess.Popen[bytes], log: BinaryIO) -> None:
        self._input = cast(BinaryIO, process.stdin)
        self._output = cast(BinaryIO, process.stdout)
        self._log = log

    def send(self, command: WorkerCommand) -> None:
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
        models = {spec.name: spec for spec in _ready(events).models}
        (request,) = requests_of_images(wanted, find_model(wanted.model, models), 0.0)
        route = AsAsked().route(request, models)
        for name, path in paths.items():
            _add(worker, events, name, path)
        handles = tuple(AdapterHandle(name=name, generation=FIRST) for name in paths)
        job = Job(request=request, level=route.levels[0], adapters=handles)
        worker.send(Run(job=job))
        finished = _finished(events, job, progress)
    return _painted(job, finished, wanted)


def _finished(events: Iterator[WorkerEvent], job: Job, progress: Progress) -> Finished:
    """Return the picture of the only job; raises WorkFailed if there is none."""
    step = 0
    for event in events:
        match event:
            case Ticked():
                step += 1
                progress(step, job.level.steps_to_run)
            case Failed(message=message):
                raise WorkFailed(message, reason="failed")
            case Finished():
                return event
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


def _ready(events: Iterator[WorkerEvent]) -> Ready:
    return next(event for event in events if isinstance(event, Ready))


def _add(worker: _Worker, events: Iterator[WorkerEvent], name: str, path: Path) -> AdapterSpec:
    worker.send(AddAdapter(handle=AdapterHandle(name=name, generation=FIRST), path=str(path)))
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


def _painted(job: Job, finished: Finished, wanted: GenerationRequest) -> Painted:
    level = job.level
    return Painted(
        content=encode(finished.picture, wanted.output_format or "png"),
        by="this machine",
        model=level.model,
        steps=level.steps,
        steps_run=level.steps_to_run,
        steps_without_loras=finished.steps_without_loras,
        seed=job.request.seed,
        sampler=level.sampler,
        seconds=finished.compute_s,
    )
