"""What passes between a driver and a worker, both ways, as msgspec messages."""

import msgspec

from safelight.core.adapter import AdapterSpec
from safelight.core.model import ModelSpec
from safelight.core.pixels import Pixels
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


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A request on its way to a worker; `attempt` counts from 1, and `paused` is where another worker left off."""

    request: ImageRequest
    attempt: int = 1
    paused: PausedRow | None = None

    @property
    def steps_run(self) -> int:
        """How many of its steps are behind it."""
        return 0 if self.paused is None else self.paused.steps_run

    @property
    def as_paused(self) -> ImageRequest:
        """The request as it was computed when it was paused."""
        is_bare = self.paused is not None and self.paused.lacks_loras
        return self.request.without_loras() if is_bare else self.request


class Run(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Start this job as soon as there is room."""

    job: Job


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Drop this request at the next step boundary; unknown ids are ignored."""

    request_id: str


class Pause(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Hand this request out at the next step boundary, as it stands; unknown ids are ignored."""

    request_id: str


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """End the worker process after the current tick."""


class AddAdapter(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read the adapter at `path`; jobs call these very weights `handle` from now on."""

    handle: str
    name: str
    path: str


class RemoveAdapter(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Let go of these weights; no job that comes later uses them. Unknown handles are ignored."""

    handle: str


class Prefetch(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Jobs that may come will need these adapters, soonest first; takes the place of what was said before.

    They are read into host memory as far as it goes.
    """

    handles: tuple[str, ...]


WorkerCommand = Run | Cancel | Pause | Stop | AddAdapter | RemoveAdapter | Prefetch


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker has loaded its models; one denoiser call takes at most `max_denoiser_rows`."""

    models: tuple[ModelSpec, ...]
    max_denoiser_rows: int


class Started(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first tick of this request is about to run."""

    request_id: str


class Stepped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`step` of the `steps` to run is done; `preview`, if any, is a small picture of the state so far."""

    request_id: str
    step: int
    steps: int
    preview: Pixels | None = None


class Ticked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One denoiser call is over: how long it took, and over how many rows."""

    model: str
    denoiser_rows: int
    seconds: float


class Captured(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The estimate of a picture at one of the noise levels that its request captures: a latents file."""

    request_id: str
    noise: float
    file: bytes


class Paused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The request was paused and its row is free; `row` is None if it had not begun."""

    request_id: str
    row: PausedRow | None


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The picture is ready.

    Attributes:
        compute_s: seconds of encoding, ticks and decoding that this picture took part in.
        prompt_tokens: tokens of the prompt that the model saw.
        steps_without_loras: steps that ran before the picture's LoRAs were there.
    """

    request_id: str
    picture: Pixels
    compute_s: float
    prompt_tokens: int
    steps_without_loras: int = 0


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker gives this request up; `message` is fit for users."""

    request_id: str
    message: str


class Dropped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The request was cancelled and its row is free."""

    request_id: str


class AdapterAdded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The adapter was read and fits one of the models."""

    handle: str
    spec: AdapterSpec


class AdapterRefused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The adapter cannot be used; `message` says why and is fit for users."""

    handle: str
    message: str


WorkerEvent = (
    Ready | Started | Stepped | Ticked | Captured | Paused | Finished | Failed | Dropped | AdapterAdded | AdapterRefused
)
