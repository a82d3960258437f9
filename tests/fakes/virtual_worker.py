"""A worker of the real replica machine, around an engine that computes nothing, in virtual time."""

from collections import deque

from safelight.control.replica.config import ready
from safelight.control.replica.effects import (
    BeginRows,
    CopyAdapter,
    Emit,
    EquipRows,
    FinishRows,
    Fold,
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
    AdapterNotRead,
    AdapterRead,
    Decoded,
    Drained,
    Folded,
    LatentsKept,
    Prepared,
    RowPaused,
    Stepped,
)
from safelight.control.replica.machine import ReplicaMachine
from safelight.core.adapter import NO_ADAPTERS
from safelight.core.job import PausedRow
from safelight.core.pixels import Pixels
from safelight.core.work import Finished, LatentsFetched, Previewed
from safelight.profiles.loads import FIRST_BYTES_PER_S
from safelight.profiles.profile import Profile

LATENTS_BYTES = 1000
DOT = Pixels(width=1, height=1, rgb=bytes(3))


class VirtualWorker:
    """Takes exactly as long as its models' profiles say, or in proportion to it.

    One adapter is read at a time, beside the ticks, at `bytes_per_s`; copying one to the device takes no time. An
    adapter whose path is not in `adapters` cannot be read. Once `is_dead`, nothing comes of it any more.
    """

    def __init__(
        self,
        models,
        *,
        time,
        send,
        config,
        adapters=(),
        bytes_per_s=FIRST_BYTES_PER_S,
        score=None,
        slowness=1.0,
    ):
        """Start.

        Args:
            models: the specs of its models.
            time: a `VirtualTime`.
            send: takes each event.
            config: of the replica.
            adapters: the specs of the adapters by path.
            bytes_per_s: how fast adapters are read.
            score: gives the score of a finished job; None for none.
            slowness: how many times longer its steps take than its profiles say.
        """
        self.ready = ready(tuple(models), config)
        self.is_dead = False
        self.machine = ReplicaMachine.serving(models, config=config)
        self._profiles = {spec.name: Profile.from_spec(spec) for spec in models}
        self._time = time
        self._send = send
        self._adapters = dict(adapters)
        self._bytes_per_s = bytes_per_s
        self._score = score or (lambda job: None)
        self._slowness = slowness
        self._reader_free_s = 0.0
        self._inbox = deque()
        self._jobs = {}
        self._steps_run = {}
        self.steps_run = 0
        self._folded = {}
        self._is_waiting = True
        self._life = self._live()
        self._resume()

    def post(self, command):
        """Take a command, or the result of a read."""
        self._inbox.append(command)
        if self._is_waiting:
            self._is_waiting = False
            self._time.call_later(0.0, self._resume)

    def _resume(self):
        if self.is_dead:
            return
        seconds = next(self._life)
        self._is_waiting = seconds is None
        if seconds is not None:
            self._time.call_later(seconds, self._resume)

    def _live(self):
        """Yield seconds of work, or None to wait for a command."""
        while True:
            while self.machine.is_idle and not self._inbox:
                yield None
            while self._inbox:
                yield from self._report(self._inbox.popleft())
            yield from self._report(Drained())

    def _report(self, event):
        effects = deque(self.machine.handle(event, self._time.now_s()))
        while effects:
            effect = effects.popleft()
            seconds, result = self._run(effect)
            if seconds:
                yield seconds
            if result is not None:
                effects.extend(self.machine.handle(result, self._time.now_s()))

    def _run(self, effect):
        """Return how long an effect takes, and its result."""
        match effect:
            case Emit(event=event):
                self._send(event)
            case SendPicture():
                self._send_picture(effect)
            case SendLatents(handle=handle):
                self._send(LatentsFetched(handle=handle, file=b""))
            case PreviewRow(request_id=request_id, step=step, steps=steps):
                self._send(Previewed(request_id=request_id, step=step, steps=steps, picture=DOT))
            case ReadAdapter():
                self._read(effect)
            case CopyAdapter(handle=handle):
                return 0.0, AdapterCopied(handle=handle)
            case KeepLatents(handle=handle, file=file):
                return 0.0, LatentsKept(handle=handle, latents_bytes=len(file))
            case PauseRow(request_id=request_id):
                return 0.0, RowPaused(request_id=request_id, row=self._paused(request_id))
            case _:
                return self._compute(effect)
        return 0.0, None

    def _compute(self, effect):
        match effect:
            case BeginRows() | ResumeRow():
                return self._begin(effect.jobs if isinstance(effect, BeginRows) else (effect.job,))
            case EquipRows(jobs=jobs):
                self._jobs |= {job.id: job for job in jobs}
                return 0.0, Prepared(request_ids=tuple(job.id for job in jobs), seconds=0.0)
            case Fold(model=model, composition=composition):
                self._folded[model] = composition
                return self._profiles[model].adapter_costs.switch_s, Folded(model=model)
            case Step():
                seconds = self._step_s(effect)
                for request_id in effect.request_ids:
                    self._steps_run[request_id] += 1
                self.steps_run += len(effect.request_ids)
                return seconds, Stepped(seconds=seconds)
            case FinishRows(request_ids=request_ids):
                return self._finish(request_ids)
        return 0.0, None

    def _read(self, effect):
        spec = self._adapters.get(effect.path)
        size = 0 if spec is None else spec.weights_bytes
        begin_s = max(self._time.now_s() + effect.after_s, self._reader_free_s)
        self._reader_free_s = begin_s + size / self._bytes_per_s
        unreadable = AdapterNotRead(handle=effect.handle, reason=f"{effect.path!r} is broken.")
        result = unreadable if spec is None else AdapterRead(handle=effect.handle, spec=spec)
        self._time.call_later(self._reader_free_s - self._time.now_s(), lambda: self.post(result))

    def _begin(self, jobs):
        """Begin rows, or go on with one that was paused."""
        self._jobs |= {job.id: job for job in jobs}
        self._steps_run |= {job.id: job.steps_run for job in jobs}
        seconds = sum(self._encoding_s(job) for job in jobs)
        return seconds, Prepared(request_ids=tuple(job.id for job in jobs), seconds=seconds)

    def _paused(self, request_id):
        del self._jobs[request_id]
        return PausedRow(steps_run=self._steps_run.pop(request_id), file=bytes(LATENTS_BYTES))

    def _step_s(self, step):
        profile = self._profiles[step.model]
        seconds = self._slowness * profile.tick_s(step.denoiser_rows, width=step.width, height=step.height)
        costs = profile.adapter_costs
        if costs is None:
            return seconds
        is_plain = self._folded.get(step.model, NO_ADAPTERS).is_empty
        overhead = costs.unmerged_overhead if is_plain else costs.correction_overhead
        return seconds * (1 + overhead * step.misfit_rows / step.denoiser_rows)

    def _encoding_s(self, job):
        model, width, height = job.kind
        has_source = job.request.source is not None
        return self._profiles[model].encoding_s(width=width, height=height, has_source=has_source)

    def _finish(self, request_ids):
        kinds = [self._jobs[request_id].kind for request_id in request_ids]
        seconds = sum(self._profiles[model].decoding_s(width=width, height=height) for model, width, height in kinds)
        tokens = tuple(len(self._jobs[request_id].request.prompt.split()) for request_id in request_ids)
        return seconds, Decoded(request_ids=request_ids, seconds=seconds, prompt_tokens=tokens)

    def _send_picture(self, effect):
        job = self._jobs.pop(effect.request_id)
        self._send(
            Finished(
                request_id=effect.request_id,
                picture=DOT,
                compute_s=effect.compute_s,
                prompt_tokens=effect.prompt_tokens,
                steps_without_loras=effect.steps_without_loras,
                score=self._score(job),
            )
        )
