"""Calibrates a model in processes that measure side by side, as the workers of a server compute."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, BinaryIO, Final

import msgspec

from safelight.core.errors import WorkFailed
from safelight.oneshot.machine import device_name
from safelight.profiles.calibration import Calibrated, Calibrating, Judged, QualityFigures
from safelight.profiles.profile import Profile

Note = Callable[[int, int], None]
_DECODER: Final = msgspec.json.Decoder(Calibrating | Calibrated | Judged)


@dataclass(frozen=True, kw_only=True)
class CalibrationPlan:
    """What is measured, and how.

    Attributes:
        model: a diffusers folder.
        adapters: folders; their first LoRA and ControlNet that fit are measured.
        options: of each process: device, precision and threads.
        threads: of each process, for the device's name.
        workers: processes that measure at the same time.
    """

    model: Path
    adapters: tuple[Path, ...]
    options: tuple[str, ...]
    threads: int
    workers: int = 1


@dataclass(frozen=True, kw_only=True)
class QualityPlan:
    """What is measured of a model's pictures.

    Attributes:
        model: a diffusers folder.
        pictures: that are judged at each level.
        steps: the levels; without any, shares of the model's own.
        gate: a file of a gate after the model, to be measured too.
        heavy: the gate's heavy model.
        options: of the process: device, precision and threads.
    """

    model: Path
    pictures: int
    steps: tuple[int, ...] = ()
    gate: Path | None = None
    heavy: Path | None = None
    options: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of the process."""
        gate = () if self.gate is None else ("--gate", str(self.gate), "--heavy", str(self.heavy))
        steps = (part for steps in self.steps for part in ("--steps", str(steps)))
        return ("--model", str(self.model), *self.options, "--quality", str(self.pictures), *steps, *gate)


def measure_quality(plan: QualityPlan, *, note: Note) -> QualityFigures:
    """Paint and judge in one process; `note` gets its progress.

    Raises:
        WorkFailed: if the process ends without figures.
    """
    with _process(plan.arguments) as process:
        judged = process.result(note)
    assert isinstance(judged, Judged), "a process that judges sends what it found"
    return judged.figures


def calibrate(plan: CalibrationPlan, *, note: Note) -> Profile:
    """Measure in all processes, and return the mean of their profiles; `note` gets the progress of the first one.

    Raises:
        WorkFailed: if a process ends without a profile.
    """
    with ExitStack() as stack, ThreadPoolExecutor(plan.workers) as readers:
        processes = [stack.enter_context(_started(plan, number)) for number in range(plan.workers)]
        first, *others = processes
        further = [readers.submit(process.profile, _silent) for process in others]
        profiles = [first.profile(note), *(each.result() for each in further)]
    return mean_of(profiles)


def mean_of(profiles: Sequence[Profile]) -> Profile:
    """Return a profile with the means of all figures of equal profiles."""
    values = [msgspec.to_builtins(profile) for profile in profiles]
    return msgspec.convert(_mean(values), Profile)


def _mean(values: Sequence[Any]) -> Any:  # noqa: ANN401 - any part of a profile
    first = values[0]
    match first:
        case dict():
            return {name: _mean([value[name] for value in values]) for name in first}
        case list() | tuple():
            return [_mean(parts) for parts in zip(*values, strict=True)]
        case float():
            return fmean(values)
    return first


class _Process:
    """One process that measures; what it prints is kept for when it fails."""

    def __init__(self, process: subprocess.Popen[bytes], log: BinaryIO) -> None:
        self._process = process
        self._log = log

    def profile(self, note: Note) -> Profile:
        """Return the profile once it is measured."""
        calibrated = self.result(note)
        assert isinstance(calibrated, Calibrated), "a process that measures sends a profile"
        return calibrated.profile

    def result(self, note: Note) -> Calibrated | Judged:
        """Return what the process sends last; raises WorkFailed if it ends without it."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message: Calibrating | Calibrated | Judged = _DECODER.decode(line)
            if not isinstance(message, Calibrating):
                return message
            note(message.done, message.total)
        self._log.seek(0)
        words = self._log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise WorkFailed(f"The calibration ended: {words[-1].removeprefix('error: ')}", reason="calibration_failed")


def _started(plan: CalibrationPlan, number: int) -> AbstractContextManager[_Process]:
    argv = ["--model", str(plan.model), *plan.options]
    argv += [part for folder in plan.adapters for part in ("--adapters", str(folder))]
    argv += ["--number", str(number), "--device-name", device_name(threads=plan.threads, workers=plan.workers)]
    return _process(argv)


@contextmanager
def _process(arguments: Sequence[str]) -> Iterator[_Process]:
    argv = [sys.executable, "-m", "safelight.worker.calibration", *arguments]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - the command line is made by ours
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        try:
            yield _Process(process, log)
        finally:
            process.kill()
            process.communicate()


def _silent(done: int, total: int) -> None:
    """Note nothing."""
