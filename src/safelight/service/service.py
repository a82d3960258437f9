"""Drives the controller with a clock: requests and worker events in, commands to workers and pictures out."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import msgspec

from safelight.control.commands import (
    AnswerOffer,
    Command,
    Deliver,
    Dismissed,
    Escalated,
    GiveUp,
    Kill,
    Reject,
    Send,
    WorkerChanged,
)
from safelight.control.events import (
    AdapterOffered,
    AdapterRemoved,
    Arrived,
    DrainBegan,
    Event,
    PartChanged,
    Reported,
    TimePassed,
    Withdrawn,
    WorkerHeard,
    WorkerJoined,
    WorkerLeft,
    WorkerStarting,
)
from safelight.control.fleet import FleetController
from safelight.core.adapter import AdapterSpec
from safelight.core.clock import Clock
from safelight.core.errors import (
    AdapterFileError,
    Cancelled,
    CannotServe,
    ExtensionError,
    Rejected,
    RequestError,
    SafelightError,
    ShutDown,
)
from safelight.core.job import Job
from safelight.core.level import Route
from safelight.core.log import Log
from safelight.core.model import ModelSpec
from safelight.core.outcome import Outcome
from safelight.core.pool import WorkerPool
from safelight.core.request import ImageRequest
from safelight.core.work import (
    Captured,
    Finished,
    LatentsDropped,
    LatentsFetched,
    Previewed,
    Ready,
    Run,
    Ticked,
    WorkerEvent,
)
from safelight.service.metrics import Metrics
from safelight.service.outcome_log import OutcomeLog
from safelight.service.pending import Delivery, PendingPicture, Preview
from safelight.service.recent import RecentPictures
from safelight.service.reuse.cache import ReuseCache, ReuseParts
from safelight.service.reuse.prepared import NOTHING, ExactHit, PreparedReuse
from safelight.service.reuse.settings import ReuseSettings

Sleep = Callable[[float, Callable[[], None]], Callable[[], object]]
"""`(seconds, action) -> cancel`: calls `action` once after `seconds`."""


def call_later(seconds: float, action: Callable[[], None]) -> Callable[[], object]:
    """Call `action` on the event loop after `seconds`; returns a function that cancels the call."""
    return asyncio.get_running_loop().call_later(seconds, action).cancel


@dataclass(frozen=True, kw_only=True)
class ServiceParts:
    """The parts of a service; `call_later` uses the same clock.

    `epoch_s` is the Unix time at which the clock was 0. `on_end` gets the record of each request that has ended, in the
    context in which the request was made.
    """

    controller: FleetController
    pool: WorkerPool
    clock: Clock
    metrics: Metrics
    outcomes: OutcomeLog
    log: Log
    call_later: Sleep = call_later
    on_end: Callable[[Outcome], None] = lambda _: None
    epoch_s: float = 0.0
    reuse: ReuseSettings = field(default_factory=ReuseSettings)


class Service:
    """Owns the controller; every call happens on the event loop and none blocks."""

    def __init__(self, parts: ServiceParts) -> None:
        self.controller = parts.controller
        self.pool = parts.pool
        self._clock = parts.clock
        self._call_later = parts.call_later
        self._metrics = parts.metrics
        self._outcomes = parts.outcomes
        self._log = parts.log
        self._on_end = parts.on_end
        self.reuse = ReuseCache(
            ReuseParts(
                settings=parts.reuse,
                controller=parts.controller,
                clock=parts.clock,
                epoch_s=parts.epoch_s,
                metrics=parts.metrics.of_reuse,
                send=parts.pool.send,
                log=parts.log,
            )
        )
        self._pending: dict[str, PendingPicture] = {}
        self._offers: dict[str, asyncio.Future[AdapterSpec]] = {}
        self._offer_numbers = count()
        self._wakeup_s: float | None = None
        self._cancel_wakeup: Callable[[], object] = lambda: None
        self._idle = asyncio.Event()
        self._idle.set()
        self.first_ready = asyncio.Event()
        self.collapse: asyncio.Future[SafelightError] = asyncio.get_running_loop().create_future()
        self.recent = RecentPictures(now_s=parts.clock.now_s())
        self._hung: set[str] = set()
        self._metrics.watch(
            waiting=lambda: self.controller.waiting_count,
            running=lambda: self.controller.running_count,
            workers=lambda: len(self.controller.workers) - self.controller.suspected_count,
        )
        self._metrics.of_workers.watch(suspected=lambda: self.controller.suspected_count)
        lines = self._metrics.of_outcomes
        self._outcomes.watch(on_written=lines.lines_written, on_lost=lines.lines_lost)

    @property
    def models(self) -> Mapping[str, ModelSpec]:
        """The served models by name, in the order in which workers reported them."""
        return self.controller.models

    @property
    def named(self) -> Mapping[str, ModelSpec]:
        """What requests may name: models, and cascades as if they were models; the default first."""
        return self.controller.named

    @property
    def now_s(self) -> float:
        """The time on the service's clock."""
        return self._clock.now_s()

    def start(self, adapters: Mapping[str, Path] | None = None) -> None:
        """Start the workers, without waiting for them; the service is ready only when `adapters` have been read."""
        for name, path in (adapters or {}).items():
            self.offer_adapter(name, path, is_initial=True)
        self.pool.start(self)

    async def stop(self) -> None:
        """End the workers."""
        self._cancel_wakeup()
        await self.pool.stop()
        self.reuse.close()

    def check_ready(self) -> None:
        """Raise Rejected while a part is missing, and while the service shuts down."""
        if (missing := self.controller.unreadiness) is not None:
            raise missing

    def check_open(self) -> None:
        """Raise Rejected if no request can be accepted, and count the refusal.

        While only another part is missing, requests are accepted: those that need it wait in their worker.
        """
        if (refusal := self.controller.refusal) is not None:
            self._metrics.refused(refusal.reason)
            raise refusal

    def submit(
        self, requests: Sequence[ImageRequest], *, partial_images: int = 0, prepared: PreparedReuse = NOTHING
    ) -> tuple[PendingPicture, ...]:
        """Accept all of `requests`, or none; `prepared` is what `reuse.prepare` has found for them.

        Raises:
            Rejected: when they are not accepted now.
            RequestError: when one can never be served.
            ExtensionError: when a policy of another package fails to judge one.
        """
        pending = tuple(PendingPicture(each.without_pictures(), partial_images=partial_images) for each in requests)
        for each in pending:
            self._pending[each.request.id] = each
        self._idle.clear()
        painted = tuple(each for each in pending if each.request.id not in prepared.hits)
        arriving = tuple(each for each in requests if each.id not in prepared.hits)
        for request in arriving:
            self.reuse.begin(request, prepared)
        if arriving:
            self._handle(Arrived(arriving, prepared.plans))
            first = painted[0].delivery
            if first.done() and isinstance(refusal := first.exception(), Rejected | RequestError | ExtensionError):
                for request_id in prepared.hits:
                    self._forget(request_id).fail(refusal)
                raise refusal
        for request_id, hit in prepared.hits.items():
            self._deliver_earlier(request_id, hit)
        return pending

    def withdraw(self, request_id: str, reason: SafelightError | None = None) -> bool:
        """Stop working on a picture; returns whether it was still pending.

        Waiting callers get `reason`, by default `Cancelled`.
        """
        pending = self._pending.get(request_id)
        if pending is None or pending.delivery.done():
            return False
        pending.fail(reason or Cancelled())
        self._handle(Withdrawn(request_id))
        return True

    def withdraw_all(self, reason: SafelightError | None = None) -> int:
        """Stop working on all pictures, since the service ends; returns their number.

        Waiting callers get `reason`, by default `ShutDown`.
        """
        return sum(self.withdraw(request_id, reason or ShutDown()) for request_id in list(self._pending))

    def begin_drain(self) -> None:
        """Accept no new requests from now on."""
        self._handle(DrainBegan())

    async def idle(self) -> None:
        """Wait until every accepted request has ended."""
        await self._idle.wait()

    def owner(self, request_id: str) -> str | None:
        """Return the tenant of a pending picture, or None if there is none of this id."""
        pending = self._pending.get(request_id)
        return None if pending is None or pending.delivery.done() else pending.request.tenant

    def preview(self, request_id: str) -> Preview | None:
        """Return the latest preview of a running picture."""
        pending = self._pending.get(request_id)
        return pending.latest if pending else None

    def offer_adapter(self, name: str, path: Path, *, is_initial: bool = False) -> asyncio.Future[AdapterSpec]:
        """Make the workers read an adapter; the future gets its spec, or why requests cannot name it."""
        offer, verdict = self._new_offer()
        verdict.add_done_callback(partial(self._log_adapter, name))
        if _is_unicode(str(path)):
            self._handle(AdapterOffered(offer, name, str(path), is_initial=is_initial))
        else:
            reason = f"its path, {str(path)!r}, is not valid Unicode; rename its folder"
            self._answer(self._offers.pop(offer), AdapterFileError(f"The adapter {name!r} cannot be read: {reason}."))
        return verdict

    def remove_adapter(self, name: str) -> AdapterSpec:
        """Hide the adapter from new requests; its weights are freed when the last picture that uses it has ended.

        Raises:
            UnknownAdapter: if there is none.
        """
        offer, verdict = self._new_offer()
        self._handle(AdapterRemoved(offer, name))
        return verdict.result()

    def part_changed(self, part: str, missing: str | None) -> None:
        """Another part of the service is ready, or lacks what `missing` says."""
        self._handle(PartChanged(part, missing))
        self._note_ready()

    def starting(self, worker: str) -> None:
        """A worker begins to load its models."""
        self._handle(WorkerStarting(worker))

    def start_failed(self, worker: str, reason: str) -> None:
        """A worker has ended before it was ready, or could not be started."""
        self._metrics.of_workers.start_failed()
        self._metrics.of_workers.lost("hung" if worker in self._hung else "start_failed")
        self._hung.discard(worker)
        self._handle(WorkerLeft(worker, reason))

    def joined(self, worker: str, ready: Ready) -> None:
        """A worker is ready."""
        self._log.info("worker ready", worker=worker, models=[model.name for model in ready.models])
        self._handle(WorkerJoined(worker, ready))
        if (flaw := self.controller.flaw) is not None:
            self.collapsed(CannotServe(flaw))
        self._note_ready()

    def left(self, worker: str, reason: str) -> None:
        """A worker that was ready has ended."""
        self._log.warning("worker lost", worker=worker, reason=reason)
        self._metrics.of_workers.lost("hung" if worker in self._hung else "died")
        self._hung.discard(worker)
        self.reuse.lost(worker)
        self._handle(WorkerLeft(worker, reason))

    def reported(self, worker: str, events: Sequence[WorkerEvent]) -> None:
        """A worker sent events, or a part of one."""
        if not events:
            self._handle(WorkerHeard(worker))
        for event in events:
            if isinstance(event, Previewed):
                if pending := self._pending.get(event.request_id):
                    pending.progress(event)
                continue
            if isinstance(event, Captured | LatentsFetched | LatentsDropped):
                self.reuse.note(worker, event)
            if isinstance(event, Ticked):
                self._metrics.ticked(event)
            self._handle(Reported(worker, event))

    def restarting(self, worker: str) -> None:
        """The successor of this worker is about to start."""
        self._metrics.worker_restarted()

    def collapsed(self, error: SafelightError) -> None:
        """No worker is ready, and none can be started."""
        if not self.collapse.done():
            self.collapse.set_result(error)

    def _new_offer(self) -> tuple[str, asyncio.Future[AdapterSpec]]:
        offer = f"offer-{next(self._offer_numbers)}"
        verdict = self._offers[offer] = asyncio.get_running_loop().create_future()
        return offer, verdict

    def _log_adapter(self, name: str, verdict: asyncio.Future[AdapterSpec]) -> None:
        if verdict.cancelled():
            return
        if (error := verdict.exception()) is not None:
            self._log.warning("adapter refused", adapter=name, reason=str(error))
        else:
            self._log.info("adapter ready", adapter=name, model=verdict.result().model)
        self._note_ready()

    def _note_ready(self) -> None:
        if self.controller.unreadiness is None:
            self.first_ready.set()

    def _handle(self, event: Event) -> None:
        """Execute what the controller decides; if that fails, nothing can be decided any more, and the service ends."""
        try:
            for command in self.controller.handle(event, self._clock.now_s()):
                self._obey(command)
            self._plan_wakeup()
        except Exception as error:  # noqa: BLE001 - policies of other packages may raise anything
            kind, reason = type(event).__name__, f"{type(error).__name__}: {error}"
            self._log.error("service failed", event_kind=kind, reason=reason)
            named = error if isinstance(error, SafelightError) else None
            self.collapsed(named or CannotServe(f"The service failed at {kind} ({reason})."))

    def _plan_wakeup(self) -> None:
        wakeup_s = self.controller.next_wakeup_s
        if wakeup_s == self._wakeup_s:
            return
        self._cancel_wakeup()
        self._wakeup_s = wakeup_s
        if wakeup_s is not None:
            self._cancel_wakeup = self._call_later(max(0.0, wakeup_s - self._clock.now_s()), self._wake_up)

    def _wake_up(self) -> None:
        self._wakeup_s = None
        self._handle(TimePassed())

    def _obey(self, command: Command) -> None:  # noqa: C901, PLR0912 - one branch for each command
        match command:
            case Send(worker=worker, command=message):
                if isinstance(message, Run):
                    self._before_run(worker, message.job)
                self.pool.send(worker, message)
            case WorkerChanged(worker=worker, is_suspected=True, reason=reason):
                self._log.warning("worker suspected", worker=worker, reason=reason)
            case WorkerChanged(worker=worker):
                self._log.info("worker responds again", worker=worker)
            case Kill(worker=worker, reason=reason):
                self._log.error("worker hung", worker=worker, reason=reason)
                self._metrics.of_workers.hung()
                self._hung.add(worker)
                self.pool.kill(worker)
            case Deliver(finished=finished, outcome=outcome):
                self.recent.add(now_s=self._clock.now_s(), total_s=outcome.total_s, levels=outcome.cascade_levels)
                outcome = msgspec.structs.replace(outcome, reused=self.reuse.reused(outcome))
                self.reuse.finished(outcome, finished)
                self._metrics.of_reuse.encoded(knew_prompt=finished.knew_prompt)
                pending = self._close(outcome)
                pending.deliver(Delivery(request=pending.request, finished=finished, outcome=outcome))
            case Escalated(request=request, finished=finished):
                self._pending[request.id].escalated(finished.picture)
            case Reject(request=request, error=error, outcome=None):
                if isinstance(error, ExtensionError):
                    self._log.error("policy failed", id=request.id, reason=str(error))
                elif isinstance(error, Rejected):
                    self._metrics.refused(error.reason)
                self._forget(request.id).fail(error)
            case Reject(error=error, outcome=Outcome() as outcome) | GiveUp(error=error, outcome=outcome):
                self._close(outcome, detail=str(error)).fail(error)
            case Dismissed(outcome=outcome):
                self._close(outcome).fail(Cancelled())
            case AnswerOffer(offer=offer, result=result):
                self._answer(self._offers.pop(offer), result)

    def _before_run(self, worker: str, job: Job) -> None:
        self._pending[job.id].awaits_gate = job.gate is not None
        if job.attempt > 1:
            self._log.warning("picture runs again", id=job.id, attempt=job.attempt, worker=worker)
        if (put := self.reuse.put_for(job)) is not None:
            self.pool.send(worker, put)

    def _deliver_earlier(self, request_id: str, hit: ExactHit) -> None:
        """Answer with an earlier picture."""
        pending = self._pending[request_id]
        request = msgspec.structs.replace(pending.request, seed=hit.entry.seed)
        pending.request = request
        self.reuse.hit(request, hit)
        outcome = Outcome(
            request=request,
            route=Route(levels=(hit.level,)),
            status="finished",
            total_s=self._clock.now_s() - request.arrived_s,
            reused=hit.reused,
        )
        finished = Finished(
            request_id=request_id, picture=hit.picture, compute_s=0.0, prompt_tokens=hit.entry.prompt_tokens
        )
        self._close(outcome).deliver(Delivery(request=request, finished=finished, outcome=outcome))

    def _answer(self, verdict: asyncio.Future[AdapterSpec], result: AdapterSpec | SafelightError) -> None:
        if verdict.done():
            return
        if isinstance(result, SafelightError):
            verdict.set_exception(result)
        else:
            verdict.set_result(result)

    def _close(self, outcome: Outcome, *, detail: str | None = None) -> PendingPicture:
        """Record the end of a request; `detail` is the whole text of its error, which clients may get in part."""
        self._metrics.ended(outcome)
        self._outcomes.add(outcome)
        # The line of its HTTP request says that it was rejected; a second one would double the log under overload.
        write = self._log.debug if outcome.status == "rejected" else self._log.info
        write(
            "picture " + outcome.status,
            id=outcome.request.id,
            model=outcome.level.model,
            tenant=outcome.request.tenant or None,
            reason=outcome.reason or None,
            detail=detail,
            worker=outcome.worker,
            queue_s=round(outcome.queue_s, 4),
            compute_s=round(outcome.compute_s, 4),
            total_s=round(outcome.total_s, 4),
            retries=outcome.retries,
            pauses=outcome.pauses,
            **_lateness(outcome),
        )
        pending = self._forget(outcome.request.id)
        pending.context.run(self._on_end, outcome)
        return pending

    def _forget(self, request_id: str) -> PendingPicture:
        pending = self._pending.pop(request_id)
        self.reuse.ended(request_id)
        if not self._pending:
            self._idle.set()
        return pending


def _is_unicode(text: str) -> bool:
    """Whether a message to a worker can hold `text`: the names of files may be any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _lateness(outcome: Outcome) -> dict[str, float]:
    """Return what the log says of a missed deadline."""
    deadline_s = outcome.request.deadline_s
    if deadline_s is None or outcome.late_s <= 0:
        return {}
    return {"deadline_s": deadline_s, "late_s": round(outcome.late_s, 4)}
