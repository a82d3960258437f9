"""What passes between a driver and a worker, both ways, as msgspec messages."""

import msgspec

from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterSpec, Composition
from safelight.core.job import Job, PausedRow
from safelight.core.model import ModelSpec
from safelight.core.pixels import Pixels
from safelight.core.source import LatentsHandle


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

    handle: AdapterHandle
    path: str


class RemoveAdapter(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Let go of these weights; no job that comes later uses them. Unknown handles are ignored."""

    handle: AdapterHandle


class Prefetch(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Jobs that may come will need these adapters, soonest first; this replaces what was sent before.

    They are read into host memory as far as it goes.
    """

    handles: tuple[AdapterHandle, ...]


class FetchLatents(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send the bytes of captured latents; they stay."""

    handle: LatentsHandle


class PutLatents(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Keep latents that were captured elsewhere: a latents file."""

    handle: LatentsHandle
    file: bytes


class DropLatents(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Let go of captured latents; unknown handles are ignored."""

    handle: LatentsHandle


WorkerCommand = (
    Run | Cancel | Pause | Stop | AddAdapter | RemoveAdapter | Prefetch | FetchLatents | PutLatents | DropLatents
)


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker has loaded its models; one denoiser call takes at most `max_denoiser_rows`."""

    models: tuple[ModelSpec, ...]
    max_denoiser_rows: int


class Started(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first tick of this request is about to run."""

    request_id: str


class Ticked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One denoiser call is over: each of `request_ids` has run one more step.

    Attributes:
        width, height: of all its pictures, in pixels.
        denoiser_rows: how many there were, `misfit_rows` of them with other LoRAs than the weights held.
        folded: what the weights held.
        seconds: how long it took.
        plain_s: how long it would have taken, had there been no misfits.
    """

    model: str
    width: int
    height: int
    denoiser_rows: int
    misfit_rows: int = 0
    folded: Composition = NO_ADAPTERS
    seconds: float
    plain_s: float
    request_ids: tuple[str, ...]


class Previewed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A small picture of a row after `step` of the `steps` to run."""

    request_id: str
    step: int
    steps: int
    picture: Pixels


class Captured(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker keeps the estimate of a picture at one of the noise levels that its level captures."""

    request_id: str
    handle: LatentsHandle
    noise: float
    latents_bytes: int


class LatentsFetched(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Captured latents as a file; None if the worker no longer has them."""

    handle: LatentsHandle
    file: bytes | None


class LatentsDropped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker no longer has these latents, since others needed the memory."""

    handle: LatentsHandle


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
        score: how good a gate's scorer holds the picture to be, if one looked at it.
    """

    request_id: str
    picture: Pixels
    compute_s: float
    prompt_tokens: int
    steps_without_loras: int = 0
    score: float | None = None


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker gives this request up; `message` is fit for users."""

    request_id: str
    message: str


class Dropped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The request was cancelled and its row is free."""

    request_id: str


class AdapterAdded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The adapter was read and fits one of the models."""

    handle: AdapterHandle
    spec: AdapterSpec


class AdapterRefused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The adapter cannot be used; `message` says why and is fit for users."""

    handle: AdapterHandle
    message: str


class AdapterLoaded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The adapter's weights are on the device; reading and copying them took `seconds`."""

    handle: AdapterHandle
    seconds: float


class AdapterEvicted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The adapter's weights have left the device."""

    handle: AdapterHandle


WorkerEvent = (
    Ready
    | Started
    | Ticked
    | Previewed
    | Captured
    | LatentsFetched
    | LatentsDropped
    | Paused
    | Finished
    | Failed
    | Dropped
    | AdapterAdded
    | AdapterRefused
    | AdapterLoaded
    | AdapterEvicted
)
