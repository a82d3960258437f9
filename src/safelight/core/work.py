"""Messages between a service and a worker, in both directions."""

import msgspec

from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterSpec, Composition
from safelight.core.job import Job, PausedRow
from safelight.core.model import GateSpec, ModelSpec
from safelight.core.pixels import Pixels
from safelight.core.source import LatentsHandle


class Run(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Start this job as soon as the batch has room."""

    job: Job


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Drop this request at the next step boundary; unknown ids are ignored."""

    request_id: str


class Pause(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Stop this request at the next step boundary, and return its row; unknown ids are ignored."""

    request_id: str


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """End the worker process after the current tick."""


class AddAdapter(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read the adapter at `path`; jobs refer to it by `handle`."""

    handle: AdapterHandle
    path: str


class RemoveAdapter(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Free these weights; no later job uses them. Unknown handles are ignored."""

    handle: AdapterHandle


class Prefetch(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read these adapters into host memory, as far as it has room; later jobs may need them, the first ones soonest.

    This replaces the previous `Prefetch`.
    """

    handles: tuple[AdapterHandle, ...]


class Place(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Hold these adapters on the device, the first ones most of all, as far as running rows leave room.

    This replaces the previous `Place`: those that are named no longer, and that no row needs, leave the device.
    """

    handles: tuple[AdapterHandle, ...]


class FetchLatents(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send the bytes of captured latents; the worker keeps them."""

    handle: LatentsHandle


class PutLatents(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Keep latents that another worker has captured, from a latents file."""

    handle: LatentsHandle
    file: bytes


class DropLatents(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Free captured latents; unknown handles are ignored."""

    handle: LatentsHandle


WorkerCommand = (
    Run
    | Cancel
    | Pause
    | Stop
    | AddAdapter
    | RemoveAdapter
    | Prefetch
    | Place
    | FetchLatents
    | PutLatents
    | DropLatents
)


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker has loaded its models; one denoiser call takes at most `max_denoiser_rows`.

    Attributes:
        adapter_bytes: host memory for adapters; 0 if it does not tell.
        device_ranks: how many ranks the LoRAs on its device may have together.
        device_controlnets: how many ControlNets its device holds.
        gates: those that can score pictures of its models.
    """

    models: tuple[ModelSpec, ...]
    max_denoiser_rows: int
    adapter_bytes: int = 0
    device_ranks: int = 0
    device_controlnets: int = 0
    gates: tuple[GateSpec, ...] = ()


class Beat(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A sign of life, from a thread of its own: it comes even while the worker loads its models or runs a long tick.

    Attributes:
        busy_s: seconds since the last progress: since the present effect began, or while models load, since the process
            last computed or read anything. 0 while the worker has nothing to do.
    """

    busy_s: float = 0.0


class Started(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first tick of this request is about to run."""

    request_id: str


class Ticked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Some equal denoiser calls are over: each of `request_ids` has run one step in each of them.

    Attributes:
        steps: how many calls; more than one only in a simulation.
        reused: how many of the requests took over the prediction of an earlier step, which makes calls cheaper.
        sizes: how many picture sizes share each call; `width` and `height` are the first one's.
        ended_ago_s: seconds since the last of them was over; only in a simulation, which may report late.
        width, height: of its pictures, in pixels.
        denoiser_rows: of the call; `misfit_rows` of them had other LoRAs than `folded`.
        folded: the composition that the weights held.
        seconds: duration of the calls.
        plain_s: estimated duration without misfits.
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
    steps: int = 1
    sizes: int = 1
    reused: int = 0
    ended_ago_s: float = 0.0


class Previewed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A small picture of a row after `step` of its `steps` steps."""

    request_id: str
    step: int
    steps: int
    picture: Pixels


class Captured(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker has captured the estimate of a picture at one of the noise levels in `Level.captures`.

    Attributes:
        noises: the noise level at which each step of the row's schedule starts.
    """

    request_id: str
    handle: LatentsHandle
    noise: float
    latents_bytes: int
    noises: tuple[float, ...] = ()


class LatentsFetched(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Captured latents as a file; None if the worker no longer has them."""

    handle: LatentsHandle
    file: bytes | None


class LatentsDropped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The worker has dropped these latents to free memory."""

    handle: LatentsHandle


class Paused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The request was paused and its row freed; `row` is None if it had not begun."""

    request_id: str
    row: PausedRow | None


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The picture is ready.

    Attributes:
        compute_s: seconds of the encoding, ticks and decoding that included this picture.
        prompt_tokens: tokens of the prompt that the model read.
        steps_without_loras: steps that ran before the picture's LoRAs were loaded.
        knew_prompt: whether the prompt had been encoded before.
        steps_reused: steps that took over the prediction of an earlier one.
        score: the probability that the picture is good enough, by the gate of its job; None without one, or if the
            gate has failed.
    """

    request_id: str
    picture: Pixels
    compute_s: float
    prompt_tokens: int
    steps_without_loras: int = 0
    score: float | None = None
    knew_prompt: bool = False
    steps_reused: int = 0


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The request has failed; `message` is fit for users."""

    request_id: str
    message: str


class Dropped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The request was cancelled and its row freed."""

    request_id: str


class AdapterAdded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The adapter was read, and it fits one of the models."""

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
    """The adapter's weights were removed from the device."""

    handle: AdapterHandle


WorkerEvent = (
    Ready
    | Beat
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
