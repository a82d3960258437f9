"""Draws what requests ask for, block by block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safelight.core.adapter import LoraUse
from safelight.core.request import Quality
from safelight.core.source import PictureSource
from safelight.simulator.scenario.adapters import AdapterGroup
from safelight.simulator.scenario.quantities import draw_numbers, parse_size
from safelight.simulator.scenario.workload import MixEntry
from safelight.traces.row import ANY_MODEL

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What one request asks for, as far as the scenario says it.

    Attributes:
        model: None leaves it to the level policy.
        steps: likewise.
        quality: where steps are left to the level policy.
        size: width and height in pixels.
        loras, controlnets: names with scales.
        source: what the picture starts from, without its bytes; None starts from noise.
    """

    model: str | None
    steps: int | None
    size: Size
    guidance_scale: float | None
    deadline_s: float | None
    tenant: str
    loras: tuple[LoraUse, ...]
    controlnets: tuple[tuple[str, float], ...]
    quality: Quality = "medium"
    source: PictureSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What the seconds of a request alone on a worker depend on.

    Attributes:
        steps: of the whole schedule; `steps_to_run` of them are run.
        size: width and height in pixels.
        controlnets: how many steer it.
    """

    model: str
    steps: int
    steps_to_run: int
    size: Size
    guidance_scale: float | None
    has_source: bool = False
    has_loras: bool = False
    controlnets: int = 0


class KindSampler:
    """Draws from the kinds of a mix, and from the adapters of their models."""

    def __init__(
        self,
        mix: Sequence[MixEntry],
        sizes: Mapping[str, Size],
        adapters: Sequence[AdapterGroup],
    ) -> None:
        """Take the kinds.

        Args:
            mix: at least one kind for each model that is asked for; models without one get an implicit kind.
            sizes: of the own pictures of each model and cascade that requests may name.
            adapters: of the scenario.
        """
        self._sizes = sizes
        self._adapters = [group for group in adapters if group.count is not None and group.share > 0]
        self._every = tuple(mix) or tuple(MixEntry(model=name) for name in sizes)
        self._by_model = {
            name: tuple(kind for kind in mix if kind.model == name) or (MixEntry(model=name),)
            for name in (*sizes, ANY_MODEL)
        }

    def draw(self, count: int, model: str | None, rng: np.random.Generator) -> list[Asked]:
        """Return what `count` requests ask for.

        Args:
            count: of requests.
            model: of all of them; `ANY_MODEL` leaves it to the level policy, None draws it.
            rng: the only source of randomness.
        """
        kinds = self._every if model is None else self._by_model[model]
        shares = np.array([kind.share for kind in kinds])
        chosen = rng.choice(len(kinds), size=count, p=shares / shares.sum())
        asked: list[Asked | None] = [None] * count
        for number, kind in enumerate(kinds):
            places = np.flatnonzero(chosen == number)
            for place, request in zip(places.tolist(), self._of_kind(kind, len(places), rng), strict=True):
                asked[place] = request
        return [request for request in asked if request is not None]

    def _of_kind(self, kind: MixEntry, count: int, rng: np.random.Generator) -> list[Asked]:
        model = None if kind.model == ANY_MODEL else kind.model
        steps = [None] * count if kind.steps is None else draw_numbers(kind.steps, count, rng).tolist()
        sizes = [parse_size(size, "") for size in kind.sizes] or [self._own_size(kind.model)]
        which = rng.integers(len(sizes), size=count).tolist()
        loras, controlnets = self._adapters_of(kind.model, count, rng)
        return [
            Asked(
                model=model,
                steps=steps[place],
                size=sizes[which[place]],
                guidance_scale=kind.guidance_scale,
                deadline_s=kind.deadline_s,
                tenant=kind.tenant,
                loras=tuple(LoraUse(name=name, scale=scale) for name, scale in loras[place]),
                controlnets=tuple(controlnets[place]),
            )
            for place in range(count)
        ]

    def _own_size(self, model: str) -> Size:
        return next(iter(self._sizes.values())) if model == ANY_MODEL else self._sizes[model]

    def _adapters_of(
        self, model: str, count: int, rng: np.random.Generator
    ) -> tuple[list[list[tuple[str, float]]], list[list[tuple[str, float]]]]:
        loras: list[list[tuple[str, float]]] = [[] for _ in range(count)]
        controlnets: list[list[tuple[str, float]]] = [[] for _ in range(count)]
        for group in self._adapters:
            if group.model == model:
                into = loras if group.kind == "lora" else controlnets
                for place, numbers in _draw_adapters(group, count, rng):
                    into[place] += [(group.name_of(number), group.scale) for number in numbers]
        return loras, controlnets


def _draw_adapters(group: AdapterGroup, count: int, rng: np.random.Generator) -> list[tuple[int, list[int]]]:
    """Return places of requests with adapters of a group, and which ones, without repetition (Gumbel top-k)."""
    places = np.flatnonzero(rng.random(count) < group.share)
    wanted = np.minimum(draw_numbers(group.per_request, len(places), rng), group.count or 0)
    if not len(places):
        return []
    if wanted.max() == 1:
        drawn: npt.NDArray[np.int64] = rng.choice(len(group.weights), size=len(places), p=group.weights)
        return [(place, [number]) for place, number in zip(places.tolist(), drawn.tolist(), strict=True)]
    logs = np.log(group.weights)
    return [
        (place, np.argsort(-(logs + rng.gumbel(size=len(logs))), kind="stable")[:number].tolist())
        for place, number in zip(places.tolist(), wanted.tolist(), strict=True)
    ]
