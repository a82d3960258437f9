"""The replica machine: events of one worker in, effects out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from safelight.adapters.registry import Registered
from safelight.control.replica.adapter_loads import AdapterLoads
from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.effects import (
    BeginRows,
    CaptureRow,
    DropRow,
    Effect,
    Emit,
    EquipRows,
    EvictAdapter,
    FinishRows,
    Fold,
    GateLook,
    PauseRow,
    PreviewRow,
    ResumeRow,
    SendPicture,
    Step,
)
from safelight.control.replica.events import (
    AdapterCopied,
    AdapterNotCopied,
    AdapterNotRead,
    AdapterRead,
    Decoded,
    Drained,
    Folded,
    LatentsKept,
    LatentsNotKept,
    NotFolded,
    NotPrepared,
    Prepared,
    ReplicaEvent,
    RowPaused,
    StepFailed,
    StepLostAdapter,
    Stepped,
)
from safelight.control.replica.held import HeldJob
from safelight.control.replica.latents import KeptLatents
from safelight.control.replica.ticks import Tick, TickScheduler
from safelight.core.adapter import AdapterHandle
from safelight.core.job import Job
from safelight.core.model import ModelSpec
from safelight.core.work import (
    AddAdapter,
    Cancel,
    Captured,
    DropLatents,
    Dropped,
    Failed,
    FetchLatents,
    Pause,
    Paused,
    Place,
    Prefetch,
    PutLatents,
    RemoveAdapter,
    Run,
    Started,
    Ticked,
)
from safelight.profiles.pace import PaceEstimate
from safelight.profiles.profile import Profile

NOT_FINITE = "The picture's numbers are no longer finite; try a lower guidance_scale or another sampler."


class ReplicaMachine:
    """Makes all decisions of one worker; the modules `events` and `effects` define its inputs and outputs.

    The worker waits for a command while the replica is idle. It reports all waiting commands, each after the effects of
    the previous one are over. Then it reports `Drained`, which begins the next tick, and repeats. `now` is on the clock
    of `ImageRequest.arrived_s` and never decreases.
    """

    def __init__(self, paces: Mapping[str, PaceEstimate], *, config: ReplicaConfig | None = None) -> None:
        self.config = config or ReplicaConfig()
        self._ticks = TickScheduler(paces, config=self.config)
        self._adapters = AdapterLoads(self.config.adapter_capacity, read_again_s=self.config.read_again_s)
        self._latents = KeptLatents(self.config.latents_bytes)
        self._held: dict[str, HeldJob] = {}
        self._awaiting: dict[str, HeldJob] = {}
        self._tick: Tick | None = None
        self._preparing: set[str] = set()
        self._effects: list[Effect] = []

    @classmethod
    def serving(cls, models: Iterable[ModelSpec], *, config: ReplicaConfig | None = None) -> "ReplicaMachine":
        """Return the replica of a worker that has just measured `models`."""
        return cls({spec.name: PaceEstimate(Profile.from_spec(spec)) for spec in models}, config=config)

    @property
    def is_idle(self) -> bool:
        """Whether there is no tick to run; the replica may still hold rows that wait for their LoRAs."""
        return self._ticks.is_idle

    def ticked(self, seconds: float, *, steps: int) -> Ticked:
        """Return the record of `steps` calls of the tick that is under way."""
        assert self._tick is not None, "no tick is under way"
        return self._tick.ticked(seconds, steps=steps)

    def know(self, adapters: Mapping[AdapterHandle, Registered]) -> None:
        """Take adapters as read and accepted; the mapping is kept, and may be shared by replicas."""
        self._adapters.know(adapters)

    def handle(self, event: ReplicaEvent, now: float) -> list[Effect]:
        """Return the effects that follow from `event`."""
        match event:
            case Drained():
                self._begin_tick(now)
            case Prepared() | Folded() | Stepped() | Decoded():
                self._of_tick(event, now)
            case AdapterRead() | AdapterNotRead() | AdapterCopied() | AdapterNotCopied():
                self._do(self._adapters.noted(event, now))
            case Run(job=job):
                self._hold(job, now)
            case AddAdapter() | RemoveAdapter() | Prefetch() | Place():
                self._do(self._adapters.obey(event, now))
            case FetchLatents() | PutLatents() | DropLatents() | Captured() | LatentsKept() | LatentsNotKept():
                self._do(self._latents.handle(event))
            case Cancel() | Pause() | RowPaused():
                self._stop(event, now)
            case _:
                self._of_tick(event, now)
        if self._tick is None:
            self._admit(now)
        effects, self._effects = self._effects, []
        return effects

    def _do(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, EvictAdapter):
                self._ticks.adapter_evicted(effect.handle)
            self._effects.append(effect)

    def _of_tick(self, event: ReplicaEvent, now: float) -> None:
        tick = self._tick
        assert tick is not None, f"{type(event).__name__} comes while no tick is under way"
        match event:
            case Prepared():
                self._prepared(tick, event)
                self._advance(tick)
            case NotPrepared():
                self._not_prepared(tick, event, now)
                self._advance(tick)
            case Folded():
                self._ticks.folded(tick)
                self._advance(tick)
            case NotFolded(model=model, reason=reason):
                self._ticks.fold_failed(model)
                self._fail(tick.request_ids, f"The adapters could not be brought into the weights: {reason}", now)
                self._tick = None
            case Stepped():
                self._stepped(tick, event, now)
            case StepFailed(reason=reason):
                self._fail(tick.request_ids, f"The denoiser failed: {reason}", now)
                self._tick = None
            case StepLostAdapter():
                self._bring_again(tick, event, now)
                self._tick = None
            case Decoded():
                self._decoded(event, now)
                self._tick = None

    def _hold(self, job: Job, now: float) -> None:
        assert job.id not in self._held, f"{job.id} is held already"
        self._held[job.id] = self._awaiting[job.id] = HeldJob.of(job)
        if job.level.start is not None:
            self._latents.used(job.level.start)
        if job.handles:
            self._do(self._adapters.hold(job.id, job.handles, now))

    def _stop(self, event: Cancel | Pause | RowPaused, now: float) -> None:
        match event:
            case Cancel(request_id=request_id):
                self._cancel(request_id, now)
            case Pause(request_id=request_id):
                self._pause(request_id, now)
            case RowPaused():
                self._paused(event, now)

    def _cancel(self, request_id: str, now: float) -> None:
        if request_id in self._held:
            self._give_up(request_id, now)
            self._effects.append(Emit(event=Dropped(request_id=request_id)))

    def _pause(self, request_id: str, now: float) -> None:
        held = self._held.get(request_id)
        if held is None:
            return
        self._ticks.drop(request_id)
        self._awaiting.pop(request_id, None)
        if held.has_begun:
            self._effects.append(PauseRow(request_id=request_id))
        else:
            self._let_go(request_id, now)
            self._effects.append(Emit(event=Paused(request_id=request_id, row=held.job.paused)))

    def _paused(self, event: RowPaused, now: float) -> None:
        held = self._let_go(event.request_id, now)
        row = msgspec.structs.replace(
            event.row,
            steps_without_loras=held.steps_without_loras,
            lacks_loras=held.lacks_loras,
            compute_s=held.compute_s,
        )
        self._effects.append(Emit(event=Paused(request_id=event.request_id, row=row)))

    def _admit(self, now: float) -> None:
        """Schedule the rows that may run with the loaded adapters, and fail those that never can."""
        if not self._awaiting:
            return
        while (loss := self._adapters.loss) is not None:
            request_id, reason = loss
            self._fail([request_id], reason, now)
        for request_id, held in list(self._awaiting.items()):
            has_all = not held.job.handles or self._adapters.is_ready(request_id)
            if has_all:
                del self._awaiting[request_id]
            if held.is_scheduled:
                if has_all:
                    self._ticks.equip(request_id)
            elif has_all or self._may_run_bare(held):
                held.is_scheduled = True
                grace_left = None if has_all else held.grace_left
                self._ticks.hold(held.job, steps_run=held.steps_run, grace_left=grace_left)

    def _may_run_bare(self, held: HeldJob) -> bool:
        """Whether only LoRAs are missing, and the row may run without them."""
        if self.config.deterministic:
            return False
        return held.grace_left > 0 and (not held.job.request.controlnets or self._adapters.has_controlnets(held.job.id))

    def _begin_tick(self, now: float) -> None:
        assert self._tick is None, "a tick is under way"
        self._tick = self._ticks.next_tick(now)
        if self._tick is not None:
            self._advance(self._tick)

    def _advance(self, tick: Tick) -> None:
        """Request the next effect of the tick; a tick that has lost a row is dropped, and chosen again."""
        if self._preparing:
            return
        if not self._held.keys() >= set(tick.request_ids):
            self._tick = None
            return
        rows = [self._held[request_id] for request_id in tick.request_ids]
        starting = [held for held in rows if not held.has_begun]
        late = [held for held in rows if held.lacks_loras and held.job.id not in tick.bare]
        if starting:
            self._start_rows(starting, tick)
        elif late:
            self._prepare(late, EquipRows(jobs=tuple(held.job for held in late)))
        elif self._ticks.must_fold(tick):
            self._effects.append(Fold(model=tick.model, composition=tick.folded))
        else:
            self._effects.append(_step_of(tick))

    def _start_rows(self, starting: Sequence[HeldJob], tick: Tick) -> None:
        """Resume the rows that other workers have paused, and begin the other rows together."""
        fresh = [held for held in starting if held.job.paused is None]
        for held in starting:
            if held.job.paused is not None:
                self._prepare([held], ResumeRow(job=held.job.as_paused))
        if fresh:
            self._prepare(fresh, BeginRows(jobs=tuple(_job_in(tick, held) for held in fresh)))

    def _prepare(self, rows: Iterable[HeldJob], effect: BeginRows | ResumeRow | EquipRows) -> None:
        self._preparing |= {held.job.id for held in rows}
        self._effects.append(effect)

    def _prepared(self, tick: Tick, event: Prepared) -> None:
        self._preparing -= set(event.request_ids)
        for request_id in event.request_ids:
            held = self._held[request_id]
            if held.has_begun:
                held.equipped(event.seconds)
            else:
                held.began(event.seconds, is_bare=request_id in tick.bare)
                self._effects.append(Emit(event=Started(request_id=request_id)))

    def _not_prepared(self, tick: Tick, event: NotPrepared, now: float) -> None:
        """Prepare rows that failed together one by one, so that only the faulty ones fail."""
        self._preparing -= set(event.request_ids)
        if len(event.request_ids) == 1:
            self._fail(event.request_ids, f"The picture could not be prepared: {event.reason}", now)
            return
        for request_id in event.request_ids:
            held = self._held[request_id]
            alone = EquipRows(jobs=(held.job,)) if held.has_begun else BeginRows(jobs=(_job_in(tick, held),))
            self._prepare([held], alone)

    def _stepped(self, tick: Tick, event: Stepped, now: float) -> None:
        ticked = tick.ticked(event.seconds, steps=event.steps, reused=len(event.reused_ids))
        self._effects.append(Emit(event=ticked))
        for request_id in tick.request_ids:
            held = self._held[request_id]
            held.stepped(event.seconds, is_bare=request_id in tick.bare, steps=event.steps)
            held.steps_reused += request_id in event.reused_ids
            if request_id not in event.broken_ids:
                self._show(held)
        done = self._ticks.tick_done(tick, ticked)
        self._fail(event.broken_ids, NOT_FINITE, now)
        finished = tuple(request_id for request_id in done if request_id in self._held)
        if finished:
            looks = tuple(_looks_at(self._held[request_id].job for request_id in finished))
            self._effects.append(FinishRows(request_ids=finished, looks=looks))
        else:
            self._tick = None

    def _show(self, held: HeldJob) -> None:
        job = held.job
        if held.wants_preview:
            self._effects.append(PreviewRow(request_id=job.id, step=held.steps_run, steps=job.level.steps_to_run))
        if job.level.captures:
            self._effects.append(CaptureRow(request_id=job.id))

    def _decoded(self, event: Decoded, now: float) -> None:
        for request_id, tokens in zip(event.request_ids, event.prompt_tokens, strict=True):
            held = self._held[request_id]
            sent = SendPicture(
                request_id=request_id,
                compute_s=held.compute_s + event.seconds,
                prompt_tokens=tokens,
                steps_without_loras=held.steps_without_loras,
                score=event.scores.get(request_id),
                knew_prompt=request_id in event.known,
                steps_reused=held.steps_reused,
            )
            self._effects.append(sent)
        for request_id in event.request_ids:
            self._let_go(request_id, now)

    def _bring_again(self, tick: Tick, lost: StepLostAdapter, now: float) -> None:
        """Make all rows that use an adapter wait for it again; fail those of the tick that have lost it too often."""
        handle = lost.handle
        for request_id in [name for name, held in self._held.items() if handle in held.job.handles]:
            held = self._held[request_id]
            held.losses[handle] += request_id in tick.request_ids
            if (losses := held.losses[handle]) > self.config.max_losses:
                self._fail([request_id], f"The ControlNet {handle.name!r} failed {losses} times: {lost.reason}", now)
            else:
                self._ticks.drop(request_id)
                held.is_scheduled = False
                self._awaiting[request_id] = held
        self._do(self._adapters.bring_again(handle, now))

    def _fail(self, request_ids: Iterable[str], message: str, now: float) -> None:
        for request_id in request_ids:
            self._give_up(request_id, now)
            self._effects.append(Emit(event=Failed(request_id=request_id, message=message)))

    def _give_up(self, request_id: str, now: float) -> None:
        self._ticks.drop(request_id)
        self._effects.append(DropRow(request_id=request_id))
        self._let_go(request_id, now)

    def _let_go(self, request_id: str, now: float) -> HeldJob:
        held = self._held.pop(request_id)
        self._awaiting.pop(request_id, None)
        if held.job.handles:
            self._do(self._adapters.release(request_id, now))
        return held


def _job_in(tick: Tick, held: HeldJob) -> Job:
    """Return the job as its row runs in `tick`, perhaps without its LoRAs."""
    return held.job.without_loras() if held.job.id in tick.bare else held.job


def _looks_at(jobs: Iterable[Job]) -> Iterator[GateLook]:
    return (
        GateLook(request_id=job.id, gate=job.gate, prompt=job.request.prompt) for job in jobs if job.gate is not None
    )


def _step_of(tick: Tick) -> Step:
    return Step(
        request_ids=tick.request_ids,
        model=tick.model,
        width=tick.width,
        height=tick.height,
        denoiser_rows=tick.denoiser_rows,
        misfit_rows=tick.misfit_rows,
        most_steps=tick.most_steps,
        parts=tick.parts,
    )
