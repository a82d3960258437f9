"""Finds what earlier pictures can do for a request."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from safelight.control.fleet import FleetController
from safelight.core.adapter import AdapterHandle
from safelight.core.level import Level, Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.core.reuse import Reused, ReuseScope
from safelight.core.work import PutLatents
from safelight.latents.entry import Entry
from safelight.latents.identity import Identity, exact_key, identity_of
from safelight.latents.plan import ReusePlan, started
from safelight.latents.predictor import LevelPredictor, Neighbour, StartQuery
from safelight.service.reuse.metrics import LookupResult
from safelight.service.reuse.prepared import ExactHit, Start
from safelight.service.reuse.store import ReuseStore

ScheduleKey = tuple[str, str, int, int, int]
"""Fingerprint of the weights, sampler, steps, width and height."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The result of a look-up; a request without a hit or a start may still have a plan, to capture its estimates."""

    result: LookupResult
    hit: ExactHit | None = None
    start: Start | None = None
    plan: ReusePlan | None = None


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """Looks requests up in a store.

    Attributes:
        now: returns the Unix time.
        is_shared: whether requests may use shared pictures.
        schedules: the noise level of each step, as far as captures have shown it.
    """

    store: ReuseStore
    controller: FleetController
    predictor: LevelPredictor
    now: Callable[[], float]
    is_shared: bool
    schedules: dict[ScheduleKey, tuple[float, ...]] = field(default_factory=dict)

    def learn(self, key: ScheduleKey, noises: tuple[float, ...]) -> None:
        """Note the noise levels of a schedule."""
        self.schedules[key] = noises

    def restore(self, entry: Entry) -> None:
        """Note the noise levels that an entry of an earlier run was painted with."""
        if entry.schedule:
            key = (entry.weights, entry.sampler, len(entry.schedule), entry.width, entry.height)
            self.schedules.setdefault(key, entry.schedule)

    async def find(self, request: ImageRequest, route: Route) -> Found:
        """Return what serves a request that would take `route`."""
        hit = await self._exact(request, route)
        if hit is not None:
            return Found(result="exact", hit=hit)
        level = route.levels[0]
        capturing = self._capturing(request, level)
        if not may_start(request):
            is_asked = request.reuse != "exact"
            return Found(result="bypassed" if is_asked else "miss", plan=capturing)
        started_, vetoed = await self._start(request, level)
        if started_ is None:
            return Found(result="vetoed" if vetoed else "miss", plan=capturing)
        start, plan = started_
        return Found(result="approximate", start=start, plan=plan)

    def identity(self, request: ImageRequest, level: Level, scope: ReuseScope) -> Identity | None:
        """Return the identity of a picture, or None if its model or an adapter is not known."""
        model = self.controller.models.get(level.model)
        handles = self._handles
        if model is None or not model.weights or not all(name in handles for name in request.adapters):
            return None
        return identity_of(request, level, model, handles, scope=scope)

    def scopes(self, request: ImageRequest) -> tuple[ReuseScope, ...]:
        """Return whose pictures a request may use, its own first."""
        return ("private", "shared") if self.is_shared and request.reuse_scope == "shared" else ("private",)

    @property
    def _handles(self) -> Mapping[str, AdapterHandle]:
        return {adapter.spec.name: adapter.handle for adapter in self.controller.adapters}

    def _identities(self, request: ImageRequest, level: Level) -> Iterable[Identity]:
        found = (self.identity(request, level, scope) for scope in self.scopes(request))
        return tuple(each for each in found if each is not None)

    async def _exact(self, request: ImageRequest, route: Route) -> ExactHit | None:
        """Return the picture of the same request at a level of the route, the last level first."""
        for stage in reversed(range(len(route.levels))):
            level = route.levels[stage]
            keys = [exact_key(each, request, level) for each in self._identities(request, level)]
            entry = self.store.directory.exact(keys, self.now(), has_free_seed=request.has_free_seed)
            if entry is None or not route.ends_at(stage, entry.score):
                continue
            kept = await self.store.get(entry)
            if kept is not None:
                reused = Reused(
                    tier="exact",
                    scope=entry.scope,
                    steps_saved=entry.steps,
                    saved_s=entry.compute_s,
                    age_s=self.now() - entry.created_s,
                    model=entry.model,
                )
                return ExactHit(entry=entry, picture=kept.picture, level=level, reused=reused)
        return None

    async def _start(self, request: ImageRequest, level: Level) -> tuple[tuple[Start, ReusePlan] | None, bool]:
        """Return a start and its plan, or None; and whether a veto rule spoke against the nearest picture."""
        key = self.schedule_key(request, level)
        noises = None if key is None else self.schedules.get(key)
        partitions = [each.partition for each in self._identities(request, level)]
        near = self.store.directory.near(partitions, request.prompt, self.now(), draw=_draw(request.id))
        entry = near.entry
        if entry is None or noises is None:
            return None, near.vetoed is not None
        neighbour = Neighbour(
            prompt=entry.prompt,
            similarity=near.similarity,
            noises=entry.noises,
            age_s=self.now() - entry.created_s,
            hits=self.store.directory.uses_of(entry.id),
        )
        query = StartQuery(
            prompt=request.prompt,
            neighbour=neighbour,
            model=level.model,
            weights=entry.weights,
            noises=noises,
            pressure=self.controller.waiting_count / max(1, self.controller.running_count),
        )
        choice = self.predictor.choose(query)
        served = started(level, entry, choice, noises)
        if served is None or served.start is None:
            return None, near.vetoed is not None
        kept = await self.store.get(entry)
        if kept is None:
            return None, False
        saved = served.first_step - level.first_step
        reused = Reused(
            tier="approximate",
            scope=entry.scope,
            similarity=min(1.0, near.similarity),
            noise=noises[served.first_step],
            predicted_loss=choice.predicted_loss,
            steps_saved=saved,
            saved_s=entry.compute_s * saved / max(1, entry.steps),
            age_s=self.now() - entry.created_s,
            model=entry.model,
        )
        file = kept.latents[entry.latents_ids.index(served.start.id)]
        start = Start(entry=entry, put=PutLatents(handle=served.start, file=file), reused=reused)
        return (start, ReusePlan(level=level, served=served)), False

    def _capturing(self, request: ImageRequest, level: Level) -> ReusePlan | None:
        """Return the plan of a request that starts from nothing earlier, and whose estimates later ones may use."""
        has_mask = request.source is not None and request.source.mask is not None
        if request.reuse == "exact" or has_mask or not self.store.directory.admits(request.tenant):
            return None
        captures = self.store.directory.limits.captures
        return ReusePlan(level=level, served=msgspec.structs.replace(level, captures=captures))

    def schedule_key(self, request: ImageRequest, level: Level) -> ScheduleKey | None:
        """Return what the noise levels of a request's steps depend on, or None for an unknown model."""
        model: ModelSpec | None = self.controller.models.get(level.model)
        if model is None:
            return None
        return model.weights, level.sampler, level.steps, request.width, request.height


def may_start(request: ImageRequest) -> bool:
    """Whether a request may start from another picture's latents.

    What the client has fixed, a seed or a source picture, would not hold any more, and siblings would be alike, unless
    the client wants that. Within a mask no estimate is used at all.
    """
    source = request.source
    if request.reuse in {"none", "exact"} or (source is not None and source.mask is not None):
        return False
    return request.reuse == "always" or (request.has_free_seed and request.siblings == 1 and source is None)


def _draw(request_id: str) -> int:
    """Return a number that nobody can choose, since ids are drawn by the server."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:8])
