"""Effects: what the worker executes for its replica, in order, one at a time.

| effect | result |
| --- | --- |
| `ReadAdapter` | `AdapterRead` or `AdapterNotRead`, later, while other effects go on |
| `CopyAdapter` | `AdapterCopied` or `AdapterNotCopied` |
| `BeginRows`, `ResumeRow`, `EquipRows` | `Prepared` or `NotPrepared` |
| `Fold` | `Folded` or `NotFolded` |
| `Step` | `Stepped`, `StepFailed` or `StepLostAdapter` |
| `CaptureRow` | `Captured`, or nothing |
| `FinishRows` | `Decoded` |
| `PauseRow` | `RowPaused` |
| `KeepLatents` | `LatentsKept` or `LatentsNotKept` |

The other effects have no result.
"""

import msgspec

from safelight.core.adapter import AdapterHandle, Composition
from safelight.core.job import Job
from safelight.core.source import LatentsHandle
from safelight.core.work import WorkerEvent


class ReadAdapter(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read the weights at `path` into host memory in the background, after `after_s` seconds."""

    handle: AdapterHandle
    path: str
    after_s: float = 0.0


class CopyAdapter(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Copy weights from host memory to the device."""

    handle: AdapterHandle


class EvictAdapter(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Free weights on the device; if they are folded, unfold the whole composition."""

    handle: AdapterHandle


class ForgetAdapter(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Free weights in host memory."""

    handle: AdapterHandle


class BeginRows(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Begin a row for each of these jobs, all of one model."""

    jobs: tuple[Job, ...]


class ResumeRow(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Begin a row from the state in `job.paused`, in which another worker has paused it."""

    job: Job


class EquipRows(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Add the LoRAs of their jobs to rows that run without them, all of one model."""

    jobs: tuple[Job, ...]


class Fold(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Fold this composition, and nothing else, into the weights of `model`."""

    model: str
    composition: Composition


class Step(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Advance these rows by one step in one denoiser call; the other fields describe the call.

    Attributes:
        parts: width, height and denoiser rows of each size, if several share the call.
        most_steps: so many equal calls may follow each other if no command comes in between; a simulation may do them
            as one.
    """

    request_ids: tuple[str, ...]
    model: str
    width: int
    height: int
    denoiser_rows: int
    misfit_rows: int
    most_steps: int = 1
    parts: tuple[tuple[int, int, int], ...] = ()


class PreviewRow(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send a `Previewed` of this row after `step` of its `steps` steps."""

    request_id: str
    step: int
    steps: int


class CaptureRow(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Capture this row's estimate if its last step was the first at one of the noise levels in `Level.captures`."""

    request_id: str


class GateLook(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that the gate called `gate` scores, and the prompt that it was made for."""

    request_id: str
    gate: str
    prompt: str


class FinishRows(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Decode and free these rows, score those of `looks`, and keep the pictures for `SendPicture`."""

    request_ids: tuple[str, ...]
    looks: tuple[GateLook, ...] = ()


class SendPicture(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send `Finished` with these fields and the picture that was decoded."""

    request_id: str
    compute_s: float
    prompt_tokens: int
    steps_without_loras: int
    score: float | None = None
    knew_prompt: bool = False
    steps_reused: int = 0


class DropRow(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Free a row, if there is one for this request."""

    request_id: str


class PauseRow(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Free a row, and report the state from which another worker can resume it."""

    request_id: str


class KeepLatents(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Keep latents from a latents file."""

    handle: LatentsHandle
    file: bytes


class SendLatents(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send `LatentsFetched` with these latents."""

    handle: LatentsHandle


class ForgetLatents(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Free these latents."""

    handle: LatentsHandle


class Emit(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send this event."""

    event: WorkerEvent


Effect = (
    ReadAdapter
    | CopyAdapter
    | EvictAdapter
    | ForgetAdapter
    | BeginRows
    | ResumeRow
    | EquipRows
    | Fold
    | Step
    | PreviewRow
    | CaptureRow
    | FinishRows
    | SendPicture
    | DropRow
    | PauseRow
    | KeepLatents
    | SendLatents
    | ForgetLatents
    | Emit
)
