"""Executes the effects of a replica over an engine."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from safelight.control.replica.effects import (
    BeginRows,
    CaptureRow,
    CopyAdapter,
    DropRow,
    Effect,
    Emit,
    EquipRows,
    EvictAdapter,
    FinishRows,
    Fold,
    ForgetAdapter,
    ForgetLatents,
    GateLook,
    KeepLatents,
    PauseRow,
    PreviewRow,
    ReadAdapter,
    ResumeRow,
    SendLatents,
    SendPicture,
    Step,
)
from safelight.control.replica.events import (
    AdapterCopied,
    AdapterNotCopied,
    Decoded,
    Folded,
    LatentsKept,
    LatentsNotKept,
    NotFolded,
    NotPrepared,
    Prepared,
    ReplicaResult,
    RowPaused,
    StepFailed,
    StepLostAdapter,
    Stepped,
)
from safelight.core.errors import AdapterLost, LatentsFileError, SafelightError
from safelight.core.pixels import Pixels
from safelight.core.work import Finished, LatentsFetched, Previewed, WorkerEvent
from safelight.worker.adapters import AdapterLoader
from safelight.worker.engine import Engine

Send = Callable[[WorkerEvent], None]

LONG = (CopyAdapter, BeginRows, ResumeRow, EquipRows, Fold, Step, FinishRows)
"""Effects that may take long: pending events are written before them."""


class EffectRunner:
    """Executes one effect at a time, and returns its result if it has one."""

    def __init__(self, engine: Engine, loader: AdapterLoader, *, send: Send) -> None:
        self._engine = engine
        self._loader = loader
        self._send = send
        self._pictures: dict[str, Pixels] = {}

    def run(self, effect: Effect) -> ReplicaResult | None:
        match effect:
            case Emit(event=event):
                self._send(event)
            case BeginRows() | ResumeRow() | EquipRows():
                return self._prepare(effect)
            case Fold() | Step() | CaptureRow() | FinishRows():
                return self._tick(effect)
            case PauseRow(request_id=request_id):
                return RowPaused(request_id=request_id, row=self._engine.pause(request_id))
            case DropRow(request_id=request_id):
                self._engine.drop(request_id)
            case PreviewRow() | SendPicture() | SendLatents():
                self._send(self._event(effect))
            case ReadAdapter() | CopyAdapter() | EvictAdapter() | ForgetAdapter():
                return self._move(effect)
            case KeepLatents():
                return self._keep(effect)
            case ForgetLatents(handle=handle):
                self._engine.drop_latents(handle)
        return None

    def _prepare(self, effect: BeginRows | ResumeRow | EquipRows) -> Prepared | NotPrepared:
        jobs = (effect.job,) if isinstance(effect, ResumeRow) else effect.jobs
        request_ids = tuple(job.id for job in jobs)
        started_s = time.perf_counter()
        try:
            match effect:
                case BeginRows():
                    self._engine.begin(jobs)
                case ResumeRow(job=job):
                    self._engine.resume(job)
                case EquipRows():
                    self._engine.equip(jobs)
        except (RuntimeError, SafelightError) as error:
            return NotPrepared(request_ids=request_ids, reason=str(error))
        return Prepared(request_ids=request_ids, seconds=time.perf_counter() - started_s)

    def _tick(self, effect: Fold | Step | CaptureRow | FinishRows) -> ReplicaResult | None:
        match effect:
            case Fold(model=model, composition=composition):
                try:
                    self._engine.fold(model, composition)
                except (RuntimeError, SafelightError) as error:
                    return NotFolded(model=model, reason=str(error))
                return Folded(model=model)
            case Step():
                return self._step(effect)
            case CaptureRow(request_id=request_id):
                return self._engine.captured(request_id)
            case FinishRows():
                return self._finish(effect)

    def _step(self, step: Step) -> Stepped | StepFailed | StepLostAdapter:
        started_s = time.perf_counter()
        try:
            broken = self._engine.step(step.request_ids)
        except AdapterLost as error:
            return StepLostAdapter(handle=error.handle, reason=str(error))
        except (RuntimeError, SafelightError) as error:
            return StepFailed(reason=str(error))
        seconds = time.perf_counter() - started_s
        reused = tuple(request_id for request_id in step.request_ids if self._engine.reused_step(request_id))
        return Stepped(seconds=seconds, broken_ids=tuple(broken), reused_ids=reused)

    def _finish(self, effect: FinishRows) -> Decoded:
        request_ids = effect.request_ids
        tokens = tuple(self._engine.prompt_tokens(request_id) for request_id in request_ids)
        known = tuple(request_id for request_id in request_ids if self._engine.knew_prompt(request_id))
        started_s = time.perf_counter()
        pictures = self._engine.finish(request_ids)
        self._pictures |= zip(request_ids, pictures, strict=True)
        scores = self._scores(effect.looks)
        seconds = time.perf_counter() - started_s
        return Decoded(request_ids=request_ids, seconds=seconds, prompt_tokens=tokens, known=known, scores=scores)

    def _scores(self, looks: tuple[GateLook, ...]) -> dict[str, float]:
        """Return the scores of decoded pictures, without those whose gate is not here or fails."""
        scores: dict[str, float] = {}
        for gate in self._engine.gates:
            own = [look for look in looks if look.gate == gate.spec.name]
            if not own:
                continue
            pictures = [self._pictures[look.request_id] for look in own]
            try:
                found = gate.score(pictures, [look.prompt for look in own])
            except (RuntimeError, SafelightError) as error:
                sys.stderr.write(f"The gate {gate.spec.name!r} failed: {error}\n")
                continue
            scores |= {look.request_id: score for look, score in zip(own, found, strict=True)}
        return scores

    def _event(self, effect: PreviewRow | SendPicture | SendLatents) -> WorkerEvent:
        match effect:
            case PreviewRow(request_id=request_id, step=step, steps=steps):
                picture = self._engine.preview(request_id)
                return Previewed(request_id=request_id, step=step, steps=steps, picture=picture)
            case SendPicture(request_id=request_id):
                return Finished(
                    request_id=request_id,
                    picture=self._pictures.pop(request_id),
                    compute_s=effect.compute_s,
                    prompt_tokens=effect.prompt_tokens,
                    steps_without_loras=effect.steps_without_loras,
                    score=effect.score,
                    knew_prompt=effect.knew_prompt,
                    steps_reused=effect.steps_reused,
                )
            case SendLatents(handle=handle):
                return LatentsFetched(handle=handle, file=self._engine.latents(handle))

    def _move(
        self, effect: ReadAdapter | CopyAdapter | EvictAdapter | ForgetAdapter
    ) -> AdapterCopied | AdapterNotCopied | None:
        match effect:
            case ReadAdapter(handle=handle, path=path, after_s=after_s):
                self._loader.read(handle, Path(path), after_s=after_s)
            case CopyAdapter(handle=handle):
                try:
                    self._loader.copy(handle)
                except (RuntimeError, SafelightError) as error:
                    return AdapterNotCopied(handle=handle, reason=str(error))
                return AdapterCopied(handle=handle)
            case EvictAdapter(handle=handle):
                self._engine.evict_adapter(handle)
            case ForgetAdapter(handle=handle):
                self._loader.forget(handle)
        return None

    def _keep(self, effect: KeepLatents) -> LatentsKept | LatentsNotKept:
        try:
            self._engine.put_latents(effect.handle, effect.file)
        except LatentsFileError:
            return LatentsNotKept(handle=effect.handle)
        return LatentsKept(handle=effect.handle, latents_bytes=len(effect.file))
