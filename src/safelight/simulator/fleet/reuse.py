"""What earlier pictures do for later requests, by the directory, veto rules and level predictors of the live store."""

from collections.abc import Mapping

import msgspec

from safelight.control.fleet import FleetController
from safelight.core.adapter import AdapterHandle
from safelight.core.errors import SafelightError
from safelight.core.level import Level, Route
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.reuse import Reused
from safelight.latents.directory import ReuseDirectory
from safelight.latents.entry import Entry
from safelight.latents.identity import Identity, exact_key, identity_of
from safelight.latents.plan import ReusePlan, started, step_at
from safelight.latents.predictor import Neighbour, StartQuery
from safelight.simulator.simulation import ReuseRules


class SimulatedReuse:
    """Looks requests up when they arrive, and keeps the pictures of those that started from nothing.

    Looking up, capturing and moving latents take no time.
    """

    def __init__(self, rules: ReuseRules, controller: FleetController, handles: Mapping[str, AdapterHandle]) -> None:
        self._rules = rules
        self._controller = controller
        self._handles = handles
        self._directory = ReuseDirectory(limits=rules.limits)
        self._found: dict[str, Reused] = {}

    def find(self, request: ImageRequest, now: float) -> Outcome | ReusePlan | None:
        """Return the end of a request that an earlier picture answers, or the plan of one that starts from it."""
        if not request.prompt:
            return None
        try:
            route = self._controller.route_of(request, now)
        except SafelightError:
            return None
        for level in reversed(route.levels):
            if (answer := self._exact(request, route, level, now)) is not None:
                return answer
        return self._start(request, route.levels[0], now)

    def ended(self, outcome: Outcome, now: float) -> Outcome:
        """Keep the picture of a request that has ended, and return its outcome with what it has reused."""
        if outcome.reused is not None:
            return outcome
        reused = self._found.pop(outcome.request.id, None)
        if reused is not None and outcome.stages and outcome.stages[0].level.start is not None:
            return msgspec.structs.replace(outcome, reused=reused)
        identity = self._identity(outcome.request, outcome.level)
        if outcome.status == "finished" and identity is not None and outcome.request.prompt:
            self._directory.add(self._entry(outcome, identity, now), now)
        return outcome

    def _identity(self, request: ImageRequest, level: Level) -> Identity | None:
        model = self._controller.models.get(level.model)
        if model is None or any(name not in self._handles for name in request.adapters):
            return None
        return identity_of(request, level, model, self._handles, scope="private")

    def _exact(self, request: ImageRequest, route: Route, level: Level, now: float) -> Outcome | None:
        identity = self._identity(request, level)
        if identity is None:
            return None
        entry = self._directory.exact([exact_key(identity, request, level)], now, has_free_seed=request.has_free_seed)
        if entry is None:
            return None
        self._directory.used(entry.id, steps_saved=entry.steps, now=now, counts=request.has_free_seed)
        reused = Reused(
            tier="exact",
            steps_saved=entry.steps,
            saved_s=entry.compute_s,
            age_s=now - entry.created_s,
            model=entry.model,
        )
        answered = msgspec.structs.replace(route, levels=(level,), gates=())
        return Outcome(request=request, route=answered, status="finished", reused=reused)

    def _start(self, request: ImageRequest, level: Level, now: float) -> ReusePlan | None:
        identity, predictor = self._identity(request, level), self._rules.predictor
        if identity is None or predictor is None or request.source is not None:
            return None
        near = self._directory.near([identity.partition], request.prompt, now)
        entry, noises = near.entry, self._rules.schedule(level.steps)
        if entry is None:
            return None
        neighbour = Neighbour(
            prompt=entry.prompt,
            similarity=near.similarity,
            noises=entry.noises,
            age_s=now - entry.created_s,
            hits=self._directory.uses_of(entry.id),
        )
        pressure = self._controller.waiting_count / max(1, self._controller.running_count)
        query = StartQuery(
            prompt=request.prompt, neighbour=neighbour, model=level.model, noises=noises, pressure=pressure
        )
        served = started(level, entry, predictor.choose(query), noises)
        if served is None:
            return None
        saved = served.first_step - level.first_step
        self._directory.used(entry.id, steps_saved=saved, now=now)
        self._found[request.id] = Reused(
            tier="approximate",
            similarity=min(1.0, near.similarity),
            noise=noises[served.first_step],
            steps_saved=saved,
            saved_s=entry.compute_s * saved / max(1, entry.steps),
            age_s=now - entry.created_s,
            model=entry.model,
        )
        return ReusePlan(level=level, served=served)

    def _entry(self, outcome: Outcome, identity: Identity, now: float) -> Entry:
        request, level = outcome.request, outcome.level
        schedule = self._rules.schedule(level.steps)
        noises = tuple(dict.fromkeys(schedule[step_at(schedule, noise)] for noise in self._rules.limits.captures))
        return Entry(
            id=request.id,
            owner=request.tenant,
            scope="private",
            partition=identity.partition,
            exact_key=exact_key(identity, request, level),
            prompt=request.prompt,
            model=level.model,
            width=request.width,
            height=request.height,
            seed=request.seed,
            steps=level.steps,
            noises=noises,
            latents_ids=tuple(f"{request.id}-{number}" for number in range(len(noises))),
            sampler=level.sampler,
            schedule=schedule,
            created_s=now,
            compute_s=outcome.compute_s,
            size_bytes=self._rules.entry_bytes,
        )
