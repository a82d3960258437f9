"""Reuse of earlier pictures, for a service: looks requests up, hands starts to workers, and keeps what ends."""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from safelight.control.fleet import FleetController
from safelight.core.clock import Clock
from safelight.core.errors import InvalidParameter, SafelightError
from safelight.core.job import Job
from safelight.core.log import Log
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.reuse import Reused
from safelight.core.work import Captured, Finished, LatentsDropped, LatentsFetched, PutLatents
from safelight.latents.directory import ReuseDirectory
from safelight.latents.entry import Entry
from safelight.latents.identity import exact_key
from safelight.service.reuse.cache_folder import open_folder
from safelight.service.reuse.kept_picture import KeptPicture
from safelight.service.reuse.lookup import Found, Lookup, ScheduleKey
from safelight.service.reuse.metrics import ReuseMetrics
from safelight.service.reuse.prepared import NOTHING, ExactHit, PreparedReuse, Start
from safelight.service.reuse.recorder import Recorder, Recording, Send
from safelight.service.reuse.settings import ReuseSettings
from safelight.service.reuse.store import ReuseStore

ENTRY_ID_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class ReuseParts:
    """What reuse needs of its service; `epoch_s` is the Unix time at which `clock` was 0."""

    settings: ReuseSettings
    controller: FleetController
    clock: Clock
    epoch_s: float
    metrics: ReuseMetrics
    send: Send
    log: Log


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is kept of a tenant or of all; `models` counts pictures, and `oldest_s` is the age of the oldest."""

    entries: int
    size_bytes: int
    limit_bytes: int
    oldest_s: float | None
    models: Mapping[str, int]


class ReuseCache:
    """Reuse in one service; every call happens on its event loop. Raises CannotServe for a folder that is no cache."""

    def __init__(self, parts: ReuseParts) -> None:
        settings = parts.settings
        folder = None if settings.folder is None or settings.mode == "off" else open_folder(settings.folder)
        self.settings = settings
        self._clock = parts.clock
        self._epoch_s = parts.epoch_s
        self._metrics = parts.metrics
        self._controller = parts.controller
        self.store = ReuseStore(
            ReuseDirectory(settings.limits),
            ram_bytes=settings.ram_bytes,
            folder=folder,
            metrics=parts.metrics,
            log=parts.log,
            read_within_s=settings.read_within_s,
        )
        self._lookup = Lookup(
            store=self.store,
            controller=parts.controller,
            predictor=settings.predictor,
            now=self._now,
            is_shared=settings.mode == "shared",
        )
        self._recorder = Recorder(send=parts.send, record=self._record, learn=self._learn)
        self._starts: dict[str, Start] = {}
        self._schedule_keys: dict[str, ScheduleKey] = {}

    async def load(self) -> None:
        """List what an earlier run has left."""
        for entry in await self.store.load(self._now()):
            self._lookup.restore(entry)

    def close(self) -> None:
        """Write what waits."""
        self.store.close()

    def check(self, request: ImageRequest) -> None:
        """Raise InvalidParameter for what this server does not do."""
        if request.reuse != "none" and self.settings.mode == "off":
            raise InvalidParameter(
                "reuse", request.reuse, "this server reuses nothing; leave it out, or start it with --reuse private"
            )
        if request.reuse_scope == "shared" and self.settings.mode != "shared":
            raise InvalidParameter(
                "reuse_scope", "shared", "this server shares no pictures; leave it out, or start it with --reuse shared"
            )

    async def prepare(self, requests: Sequence[ImageRequest]) -> PreparedReuse:
        """Return what earlier pictures can do for some requests; raises InvalidParameter, as `check`."""
        for request in requests:
            self.check(request)
        asking = [request for request in requests if request.reuse != "none"]
        if not asking:
            return NOTHING
        began_s = self._clock.now_s()
        hits: dict[str, ExactHit] = {}
        starts: dict[str, Start] = {}
        plans = {}
        for request in asking:
            found = await self._find(request)
            if found is None:
                continue
            self._metrics.looked_up(found.result)
            if found.hit is not None:
                hits[request.id] = found.hit
            if found.start is not None:
                starts[request.id] = found.start
            if found.plan is not None:
                plans[request.id] = found.plan
        self._metrics.took(self._clock.now_s() - began_s)
        return PreparedReuse(hits=hits, starts=starts, plans=plans)

    def begin(self, request: ImageRequest, prepared: PreparedReuse) -> None:
        """Note that a request is about to be submitted, with what was found for it."""
        if (start := prepared.starts.get(request.id)) is not None:
            self._starts[request.id] = start
        elif request.reuse != "none":
            self._recorder.begin(request.id)
            if (plan := prepared.plans.get(request.id)) is not None:
                key = self._lookup.schedule_key(request, plan.level)
                if key is not None:
                    self._schedule_keys[request.id] = key

    def hit(self, request: ImageRequest, hit: ExactHit) -> None:
        """Note that an earlier picture was the answer."""
        self._use(hit.entry, hit.reused, counts=request.has_free_seed)

    def put_for(self, job: Job) -> PutLatents | None:
        """Return what a worker has to get before a job, or None."""
        start = self._starts.get(job.id)
        return None if start is None or job.level.start != start.put.handle else start.put

    def note(self, worker: str, event: Captured | LatentsFetched | LatentsDropped) -> None:
        """Take in what a worker says about latents."""
        self._recorder.note(worker, event)

    def lost(self, worker: str) -> None:
        """Take in that a worker has ended."""
        self._recorder.lost(worker)

    def reused(self, outcome: Outcome) -> Reused | None:
        """Return what served a finished request."""
        start = self._starts.get(outcome.request.id)
        if start is None or not any(stage.reuse == start.put.handle for stage in outcome.stages):
            return None
        return start.reused

    def finished(self, outcome: Outcome, finished: Finished) -> None:
        """Take in a picture: count what it saved, or keep it for later ones."""
        start = self._starts.get(outcome.request.id)
        if outcome.reused is not None and start is not None:
            self._use(start.entry, outcome.reused, counts=True)
        self._recorder.finished(outcome, finished)

    def ended(self, request_id: str) -> None:
        """Take in that a request has ended, with or without a picture."""
        self._starts.pop(request_id, None)
        self._recorder.dropped(request_id)
        self._schedule_keys.pop(request_id, None)

    def kept(self, tenant: str | None) -> Kept:
        """Return what is kept of a tenant, or of all for None."""
        now = self._now()
        entries = [each for each in self.store.directory if tenant is None or each.owner == tenant]
        limits = self.settings.limits
        return Kept(
            entries=len(entries),
            size_bytes=sum(entry.size_bytes for entry in entries),
            limit_bytes=limits.max_bytes if tenant is None else limits.bytes_per_tenant,
            oldest_s=max((now - entry.created_s for entry in entries), default=None),
            models=Counter(entry.model for entry in entries),
        )

    def purge(self, *, owner: str | None, prompt: str | None) -> int:
        """Drop the pictures of a tenant or of all, with a prompt or with any; returns how many."""
        return self.store.purge(owner=owner, prompt=prompt)

    def _now(self) -> float:
        return self._epoch_s + self._clock.now_s()

    async def _find(self, request: ImageRequest) -> Found | None:
        try:
            route = self._controller.route_of(request, self._clock.now_s())
        except SafelightError:  # it is raised again when the request is submitted
            return None
        return await self._lookup.find(request, route)

    def _use(self, entry: Entry, reused: Reused, *, counts: bool) -> None:
        self.store.directory.used(entry.id, steps_saved=reused.steps_saved, now=self._now(), counts=counts)
        self._metrics.saved(reused)

    def _learn(self, request_id: str, noises: tuple[float, ...]) -> None:
        if (key := self._schedule_keys.get(request_id)) is not None:
            self._lookup.learn(key, noises)

    def _record(self, recording: Recording) -> None:
        """Keep a picture that was made from nothing earlier, with all its LoRAs."""
        outcome, finished = recording.outcome, recording.finished
        request, level = outcome.request, outcome.level
        is_whole = not (outcome.steps_without_loras or level.step_cache) and all(
            stage.reuse is None for stage in outcome.stages
        )
        scope = self._lookup.scopes(request)[-1]
        identity = self._lookup.identity(request, level, scope)
        if not is_whole or identity is None:
            return
        latents = recording.latents if len(outcome.stages) == 1 else ()
        kept_bytes = finished.picture.held_bytes + sum(len(file) for _, _, file in latents)
        entry = Entry(
            id=secrets.token_hex(ENTRY_ID_BYTES),
            owner=request.tenant,
            scope=scope,
            partition=identity.partition,
            exact_key=exact_key(identity, request, level),
            prompt=request.prompt,
            model=level.model,
            width=finished.picture.width,
            height=finished.picture.height,
            seed=request.seed,
            steps=level.steps_to_run,
            noises=tuple(noise for noise, _, _ in latents),
            latents_ids=tuple(handle.id for _, handle, _ in latents),
            weights=identity.weights,
            sampler=level.sampler,
            schedule=recording.schedule,
            created_s=self._now(),
            compute_s=outcome.compute_s,
            size_bytes=kept_bytes,
            prompt_tokens=finished.prompt_tokens,
            score=finished.score,
        )
        files = tuple(file for _, _, file in latents)
        kept = KeptPicture(entry=entry, picture=finished.picture, latents=files)
        self.store.add(kept, self._now(), is_durable=identity.is_durable)
