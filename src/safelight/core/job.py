"""A stage of a request, as a worker gets it."""

from functools import cached_property

import msgspec

from safelight.core.adapter import AdapterHandle, AdapterUse, Composition, composition_of
from safelight.core.level import Level
from safelight.core.request import ImageRequest


class PausedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row between two steps, which any worker of its model can resume.

    Attributes:
        steps_run: how many steps it has run, `steps_without_loras` of them without its LoRAs.
        lacks_loras: whether it still runs without them.
        compute_s: seconds of encoding and ticks that it has taken part in.
        file: its latents.
    """

    steps_run: int
    steps_without_loras: int = 0
    lacks_loras: bool = False
    compute_s: float = 0.0
    file: bytes


class Job(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A request at one level, bound to the weights that its adapter names meant at admission.

    Attributes:
        adapters: a handle for each adapter that the request names.
        stage: which of the route's levels this is, counted from 0.
        attempt: counts from 1.
        paused: the row to resume; None to begin anew.
        gate: the name of the gate that scores the picture; None for no score.
    """

    request: ImageRequest
    level: Level
    adapters: tuple[AdapterHandle, ...] = ()
    stage: int = 0
    attempt: int = 1
    paused: PausedRow | None = None
    gate: str | None = None

    @property
    def id(self) -> str:
        return self.request.id

    @cached_property
    def kind(self) -> tuple[str, int, int]:
        """Model, width and height: what rows of one tick share."""
        return self.level.model, self.request.width, self.request.height

    @cached_property
    def shape(self) -> tuple[int, int, int, int, bool]:
        """Width, height, denoiser rows, steps left, whether it starts from a picture: what its duration depends on."""
        request = self.request
        rows = self.level.denoiser_rows
        return request.width, request.height, rows, self.steps_left, request.source is not None

    @cached_property
    def loras(self) -> tuple[AdapterUse, ...]:
        """The LoRAs, by handle."""
        return tuple(AdapterUse(handle=self.handle(use.name), scale=use.scale) for use in self.request.loras)

    @cached_property
    def composition(self) -> Composition:
        """The sum of the LoRAs."""
        return composition_of(self.loras)

    @cached_property
    def handles(self) -> tuple[AdapterHandle, ...]:
        """The handles of all weights that the job needs, each once: ControlNets, then LoRAs that do not cancel out."""
        controlnets = (self.handle(use.name) for use in self.request.controlnets)
        return tuple(dict.fromkeys((*controlnets, *self.composition.handles)))

    @property
    def steps_run(self) -> int:
        """How many of its steps have been run."""
        return 0 if self.paused is None else self.paused.steps_run

    @property
    def steps_left(self) -> int:
        """How many of its steps remain to be run."""
        return self.level.steps_to_run - self.steps_run

    @property
    def as_paused(self) -> "Job":
        """The job as it was when it was paused, perhaps without its LoRAs."""
        is_bare = self.paused is not None and self.paused.lacks_loras
        return self.without_loras() if is_bare else self

    @property
    def preview_every(self) -> int:
        """Steps between two previews; 0 for no previews."""
        previews = self.request.previews
        return max(1, self.level.steps_to_run // previews) if previews else 0

    def handle(self, name: str) -> AdapterHandle:
        """Return the handle of the adapter `name`."""
        return next(handle for handle in self.adapters if handle.name == name)

    def without_loras(self) -> "Job":
        """Return the same job without its LoRAs."""
        return msgspec.structs.replace(self, request=msgspec.structs.replace(self.request, loras=()))
