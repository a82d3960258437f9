"""Makes the requests of a workload, one after the other."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import msgspec
import numpy as np
import polars as pl

from safelight.control.levels.constraints import STEP_FACTORS
from safelight.core.adapter import ControlNetUse, LoraUse
from safelight.core.errors import nearest, shorten
from safelight.core.level import MAX_STEPS
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest, Quality
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.adapters import AdapterGroup
from safelight.simulator.scenario.arrivals import Arrivals
from safelight.simulator.scenario.request_kinds import Alone, Asked, KindSampler, Size
from safelight.simulator.scenario.scenario import Scenario
from safelight.simulator.scenario.start_pictures import source_of
from safelight.simulator.scenario.workload import Column
from safelight.traces.row import ANY_MODEL

BLOCK = 4096
"""Requests that are drawn together."""

QUALITIES = get_args(Quality)

SoloTime = Callable[[Alone], float]
"""Seconds of a request alone on the fastest worker."""

_TRACE_COLUMNS = (
    *("request_id", "base_model", "controlnets", "loras", "prompt", "prompt_id", "width", "height", "steps"),
    *("images", "guidance_scale", "seed", "deadline_s", "tenant", "task", "strength", "frames"),
    *("asked_model", "asked_steps", "asked_guidance_scale", "asked_quality"),
)


@dataclass(frozen=True, kw_only=True)
class TraceAdapters:
    """How adapters of a trace are named here.

    Attributes:
        groups: those that take adapters of a trace, by model and kind.
    """

    groups: Mapping[tuple[str, str], AdapterGroup]

    @classmethod
    def of(cls, groups: Sequence[AdapterGroup]) -> "TraceAdapters":
        """Return those of some groups."""
        return cls(groups={(group.model, group.kind): group for group in groups if group.count is None})

    def name_of(self, name: str, *, model: str, kind: str) -> str:
        """Return the name here of an adapter of the trace that a request for `model` uses."""
        group = self.groups.get((model, kind))
        if group is None:
            raise BadScenario(
                f"names the {kind} {shorten(name)} for {model!r}, and no [[adapters]] without `count` is of this model "
                "and kind; add one, or let `replace` have 'adapters'.",
                place="workload",
            )
        several = sum(kind == other for _, other in self.groups) > 1
        return f"{group.name}-{name}" if several else name


class RequestMaker:
    """Makes the requests of one run; the same seed gives the same requests, whatever the policies."""

    def __init__(self, scenario: Scenario, *, sizes: Mapping[str, Size], solo_s: SoloTime, seed: int) -> None:
        """Take the scenario.

        Args:
            scenario: that has been checked.
            sizes: of the own pictures of each model and cascade.
            solo_s: for deadlines in multiples of the solo time.
            seed: of what is drawn.
        """
        self._scenario, self._sizes, self._solo_s, self._seed = scenario, sizes, solo_s, seed
        workload = scenario.workload
        self._sampler = KindSampler(workload.mix, sizes, scenario.adapters)
        source = workload.trace or workload.like
        self._replaced: Sequence[Column] = source.replace if source is not None else ()
        self._adapters = TraceAdapters.of(scenario.adapters)
        self._has_ids = False

    def requests(self, arrivals: Arrivals) -> Iterator[ImageRequest]:
        """Give all requests in order of arrival.

        Raises:
            BadScenario: if the trace names a model or an adapter that the scenario does not have.
        """
        rng = np.random.default_rng([self._seed, 1])
        self._has_ids = _has_ids(arrivals.table)
        for start in range(0, len(arrivals.times_s), BLOCK):
            times_s = arrivals.times_s[start : start + BLOCK].tolist()
            seeds = rng.integers(1 << 31, size=len(times_s)).tolist()
            if arrivals.table is None:
                drawn = self._sampler.draw(len(times_s), None, rng)
                rows: Sequence[Mapping[str, Any]] = [{}] * len(times_s)
            else:
                rows = arrivals.table[start : start + BLOCK].select(_TRACE_COLUMNS).to_dicts()
                drawn = self._like_rows(rows, rng)
            for place, (time_s, asked, row) in enumerate(zip(times_s, drawn, rows, strict=True)):
                yield from self._made(start + place, time_s, asked, row, seeds[place])

    def _like_rows(self, rows: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> list[Asked]:
        """Return what rows of a trace ask for, and what the mix adds where they do not tell."""
        models = [self._model_of(row) for row in rows]
        asked: dict[int, Asked] = {}
        for model in dict.fromkeys(models):
            places = [place for place, its in enumerate(models) if its == model]
            asked |= zip(places, self._sampler.draw(len(places), model, rng), strict=True)
        return [self._with_row(asked[place], row) for place, row in enumerate(rows)]

    def _model_of(self, row: Mapping[str, Any]) -> str | None:
        theirs: str | None = row["asked_model"] or row["base_model"]
        if theirs is None or "model" in self._replaced:
            return None
        ours = self._scenario.workload.models.get(theirs, theirs)
        if ours not in self._sizes and ours != ANY_MODEL:
            raise BadScenario(
                f"asks for the model {shorten(theirs)}; {nearest(theirs, tuple(self._sizes))} "
                "Name what serves it under [workload.models], or let `replace` have 'model'.",
                place="workload",
            )
        return ours

    def _with_row(self, asked: Asked, row: Mapping[str, Any]) -> Asked:
        changes: dict[str, Any] = {}
        row = self._as_asked(row, asked.model)
        self._check(row)
        if row["steps"] is not None and "steps" not in self._replaced:
            changes["steps"] = row["steps"]
        if row["asked_quality"] in QUALITIES and "steps" not in self._replaced:
            changes["quality"] = row["asked_quality"]
        if row["width"] is not None and row["height"] is not None and "size" not in self._replaced:
            changes["size"] = (row["width"], row["height"])
        if row["deadline_s"] is not None and "deadline" not in self._replaced:
            changes["deadline_s"] = row["deadline_s"]
        if row["guidance_scale"] is not None and "model" not in self._replaced:
            changes["guidance_scale"] = row["guidance_scale"]
        if row["tenant"] is not None:
            changes["tenant"] = row["tenant"]
        if "task" not in self._replaced:
            changes["source"] = source_of(row, changes.get("size", asked.size))
        if "adapters" not in self._replaced:
            changes |= self._adapters_of(row, asked.model)
        return replace(asked, **changes)

    def _check(self, row: Mapping[str, Any]) -> None:
        """Raise BadScenario for a request without pictures, or for a picture without steps or pixels."""
        name = shorten(row["request_id"] or "")
        if row["images"] is not None and row["images"] < 1:
            raise BadScenario(
                f"has the request {name} with `images` {row['images']}; leave it out of the trace.", place="workload"
            )
        for number in ("deadline_s", "guidance_scale", "strength"):
            if row[number] is not None and not 0 <= row[number] < math.inf:
                raise BadScenario(
                    f"has the request {name} with `{number}` {row[number]:g}; it must be a number of at least 0.",
                    place="workload",
                )
        columns: Mapping[str, Column] = {"steps": "steps", "width": "size", "height": "size"}
        for key, column in columns.items():
            if row[key] is not None and row[key] < 1 and column not in self._replaced:
                raise BadScenario(
                    f"has the request {name} with `{key}` {row[key]}; leave it out of the trace, or let `replace` have "
                    f"{column!r}.",
                    place="workload",
                )

    def _as_asked(self, row: Mapping[str, Any], model: str | None) -> Mapping[str, Any]:
        """Return a row with the steps and guidance of the request if its level was chosen from several."""
        if row["asked_model"] is None or model in self._scenario.models:
            return row
        return {**row, "steps": row["asked_steps"], "guidance_scale": row["asked_guidance_scale"]}

    def _adapters_of(self, row: Mapping[str, Any], asked: str | None) -> dict[str, Any]:
        served = row["base_model"]
        model = asked if asked in self._scenario.models else self._scenario.workload.models.get(served, served)
        if model is None or model not in self._scenario.models:
            model = asked or ANY_MODEL
        found: dict[str, Any] = {}
        if row["loras"] is not None:
            found["loras"] = tuple(
                LoraUse(name=name, scale=scale) for name, scale in self._uses(row["loras"], model, "lora")
            )
        if row["controlnets"] is not None:
            found["controlnets"] = tuple(self._uses(row["controlnets"], model, "controlnet"))
        return found

    def _uses(self, uses: Sequence[Mapping[str, Any]], model: str, kind: str) -> list[tuple[str, float]]:
        named = [use for use in uses if use["name"] is not None]
        scales = {
            self._adapters.name_of(use["name"], model=model, kind=kind): 1.0 if use["scale"] is None else use["scale"]
            for use in named
        }
        return list(scales.items())

    def _made(
        self, number: int, time_s: float, asked: Asked, row: Mapping[str, Any], seed: int
    ) -> Iterator[ImageRequest]:
        width, height = asked.size
        if (asked.steps or 0) > MAX_STEPS and self._scenario.language is None:
            raise BadScenario(
                f"has a request of {asked.steps} steps; a server takes at most {MAX_STEPS}.", place="workload"
            )
        name = row["request_id"] if self._has_ids else str(number)
        request = ImageRequest(
            id=name,
            prompt=row.get("prompt") or row.get("prompt_id") or "",
            width=width,
            height=height,
            seed=row.get("seed") or seed,
            arrived_s=time_s,
            model=asked.model,
            steps=asked.steps,
            guidance_scale=asked.guidance_scale,
            loras=asked.loras,
            controlnets=tuple(
                ControlNetUse(name=name, scale=scale, image=Pixels(width=width, height=height, rgb=b""))
                for name, scale in asked.controlnets
            ),
            deadline_s=self._deadline_s(asked),
            on_deadline=self._scenario.deadlines.on_deadline,
            tenant=asked.tenant,
            quality=asked.quality,
            source=asked.source,
        )
        yield request
        for further in range(1, row.get("images") or 1):
            yield msgspec.structs.replace(request, id=f"{name}-{further}", seed=request.seed + further)

    def _deadline_s(self, asked: Asked) -> float | None:
        deadlines = self._scenario.deadlines
        if asked.deadline_s is not None:
            return asked.deadline_s
        if deadlines.solo_times is None:
            return deadlines.seconds
        model = self._scenario.largest_model_of(asked.model)
        own_steps = self._scenario.models[model].steps
        steps = asked.steps or min(MAX_STEPS, math.ceil(own_steps * STEP_FACTORS[asked.quality]))
        alone = Alone(
            model=model,
            steps=steps,
            steps_to_run=steps if asked.source is None else steps - asked.source.first_step(steps),
            size=asked.size,
            guidance_scale=asked.guidance_scale,
            has_source=asked.source is not None,
            has_loras=bool(asked.loras),
            controlnets=len(asked.controlnets),
        )
        return deadlines.solo_times * self._solo_s(alone)


def _has_ids(table: pl.DataFrame | None) -> bool:
    """Whether each picture of a trace has an id of its own; otherwise requests are numbered."""
    if table is None or table["request_id"].null_count():
        return False
    ids = table["request_id"]
    if ids.n_unique() < len(ids):
        return False
    several = table.filter(pl.col("images") > 1)["request_id", "images"].rows()
    further = {f"{name}-{number}" for name, images in several for number in range(1, images)}
    return not (further and ids.is_in(list(further)).any())


def adapter_names_of(table: pl.DataFrame | None, kind: str) -> list[str]:
    """Return the names of all adapters of one kind in a trace, sorted."""
    if table is None:
        return []
    names = table[f"{kind}s"].explode().drop_nulls().struct.field("name").drop_nulls().unique()
    return names.sort().to_list()
