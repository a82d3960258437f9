"""A stage of a request on its way to a worker."""

from functools import cached_property

import msgspec

from safelight.core.adapter import AdapterHandle, AdapterUse, Composition, composition_of
from safelight.core.level import Level
from safelight.core.request import ImageRequest


class PausedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row between two steps, to go on in any worker of its model.

    Attributes:
        steps_run: how many steps it has run, `steps_without_loras` of them without its LoRAs.
        lacks_loras: whether it still has to get them.
        compute_s: seconds of encoding and ticks that it has taken part in.
        file: its latents.
    """

    steps_run: int
    steps_without_loras: int = 0
    lacks_loras: bool = False
    compute_s: float = 0.0
    file: bytes


class Job(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A request at one level, bound to the weights that its adapters' names meant when it was admitted.

    Attributes:
        adapters: a handle for each adapter that the request names.
        stage: which of the route's levels this is, counted from 0.
        attempt: counts from 1.
        paused: where another worker left off.
    """

    request: ImageRequest
    level: Level
    adapters: tuple[AdapterHandle, ...] = ()
    stage: int = 0
    attempt: int = 1
    paused: PausedRow | None = None

    @property
    def id(self) -> str:
        return self.request.id

    @cached_property
    def kind(self) -> tuple[str, int, int]:
        """Model, width and height: what rows of one tick share."""
        return self.level.model, self.request.width, self.request.height

    @cached_property
    def loras(self) -> tuple[AdapterUse, ...]:
        """The LoRAs as weights."""
        return tuple(AdapterUse(handle=self.handle(use.name), scale=use.scale) for use in self.request.loras)

    @cached_property
    def composition(self) -> Composition:
        """What the LoRAs come to together."""
        return composition_of(self.loras)

    @cached_property
    def handles(self) -> tuple[AdapterHandle, ...]:
        """All weights that the job needs, each once: ControlNets first, then LoRAs that do not cancel out."""
        controlnets = (self.handle(use.name) for use in self.request.controlnets)
        return tuple(dict.fromkeys((*controlnets, *self.composition.handles)))

    @property
    def steps_run(self) -> int:
        """How many of its steps are behind it."""
        return 0 if self.paused is None else self.paused.steps_run

    @property
    def as_paused(self) -> "Job":
        """The job as it was computed when it was paused."""
        is_bare = self.paused is not None and self.paused.lacks_loras
        return self.without_loras() if is_bare else self

    @property
    def preview_every(self) -> int:
        """A preview is made after every so many steps; 0 for none."""
        previews = self.request.previews
        return max(1, self.level.steps_to_run // previews) if previews else 0

    def handle(self, name: str) -> AdapterHandle:
        """Return the weights that `name` means here."""
        return next(handle for handle in self.adapters if handle.name == name)

    def without_loras(self) -> "Job":
        """Return the job of the same picture without its LoRAs."""
        return msgspec.structs.replace(self, request=msgspec.structs.replace(self.request, loras=()))
