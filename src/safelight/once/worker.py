"""A picture from a worker process that is started for it, and ends with it."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

from pydantic import ValidationError

from safelight.core.errors import RequestError, WorkFailed
from safelight.core.frames import decode_event, frame, read_body
from safelight.core.request import ImageRequest
from safelight.core.work import Failed, Finished, Job, Ready, Run, Stepped, WorkerEvent
from safelight.once.picture import Body, Painted, Progress
from safelight.server.complaints import describe
from safelight.server.images import encode
from safelight.server.orders import Order, find_model, specify
from safelight.server.wire import GenerationRequest


class _Worker:
    """One worker process, spoken to in turn; what it prints is kept for when it dies."""

    def __init__(self, process: subprocess.Popen[bytes], log: BinaryIO) -> None:
        self._input = cast(BinaryIO, process.stdin)
        self._output = cast(BinaryIO, process.stdout)
        self._log = log

    def run(self, request: ImageRequest) -> None:
        self._input.write(frame(Run(job=Job(request=request))))
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


def paint_here(body: Body, *, argv: Sequence[str], progress: Progress) -> Painted:
    """Start a worker by its command line `argv` and let it paint what `body` asks for.

    Raises:
        RequestError: if the picture cannot be asked for like that.
        WorkFailed: if the worker gives it up, or dies.
    """
    wanted = _checked(body)
    with _started(argv) as worker:
        for event in worker.events():
            match event:
                case Ready(models=models):
                    model = find_model(wanted.model, {spec.name: spec for spec in models})
                    (request,) = specify(Order(prompt=wanted.prompt, options=wanted), model, arrived_s=0.0)
                    worker.run(request)
                case Stepped(step=step, steps=steps):
                    progress(step, steps)
                case Failed(message=message):
                    raise WorkFailed(message, reason="failed")
                case Finished():
                    return _painted(request, event, wanted)
    raise AssertionError("events end with an error")


def _checked(body: Body) -> GenerationRequest:
    try:
        return GenerationRequest.model_validate(body)
    except ValidationError as error:
        problem = describe(error.errors(), tuple(GenerationRequest.model_fields))
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
        seed=request.seed,
        sampler=request.sampler,
        seconds=finished.compute_s,
    )
