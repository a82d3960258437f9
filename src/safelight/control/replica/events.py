"""What the driver of a replica reports: commands as they come, and the results of effects.

A result is reported as soon as its effect is over, and before any later effect is begun. Commands, `AdapterRead` and
`AdapterNotRead` are reported only when no effect is left to do. All events can be written as MessagePack, so that a
history can be recorded and replayed.
"""

import msgspec

from safelight.core.adapter import AdapterHandle, AdapterSpec
from safelight.core.job import PausedRow
from safelight.core.source import LatentsHandle
from safelight.core.work import (
    AddAdapter,
    Cancel,
    Captured,
    DropLatents,
    FetchLatents,
    Pause,
    Prefetch,
    PutLatents,
    RemoveAdapter,
    Run,
)


class Drained(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """No more commands wait at the moment: the next tick may run."""


class AdapterRead(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `ReadAdapter`, at any later time: the weights are in host memory."""

    handle: AdapterHandle
    spec: AdapterSpec


class AdapterNotRead(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The other result of `ReadAdapter`.

    Attributes:
        reason: fit for users.
        is_service_lost: whether the process that was to read it is away, so that nothing is known about the adapter.
    """

    handle: AdapterHandle
    reason: str
    is_service_lost: bool = False


class AdapterCopied(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `CopyAdapter`: the weights are on the device too."""

    handle: AdapterHandle


class AdapterNotCopied(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The other result of `CopyAdapter`; the device holds nothing of it."""

    handle: AdapterHandle
    reason: str


class Prepared(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `BeginRows`, `ResumeRow` and `EquipRows`, which took `seconds`."""

    request_ids: tuple[str, ...]
    seconds: float


class NotPrepared(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The other result of `BeginRows`, `ResumeRow` and `EquipRows`: none of the rows has changed."""

    request_ids: tuple[str, ...]
    reason: str


class Folded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `Fold`."""

    model: str


class NotFolded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The other result of `Fold`: it is not known what the weights hold."""

    model: str
    reason: str


class Stepped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `Step`, which took `seconds`; the numbers of `broken_ids` are no longer finite."""

    seconds: float
    broken_ids: tuple[str, ...] = ()


class StepFailed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Another result of `Step`: its rows are useless."""

    reason: str


class StepLostAdapter(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Another result of `Step`: this adapter no longer computes, and no row has moved."""

    handle: AdapterHandle
    reason: str


class Decoded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `FinishRows`, which took `seconds`; `prompt_tokens` are those that the model saw of each prompt."""

    request_ids: tuple[str, ...]
    seconds: float
    prompt_tokens: tuple[int, ...]


class RowPaused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `PauseRow`: the row is free, and `row` has what only the engine knows of it."""

    request_id: str
    row: PausedRow


class LatentsKept(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `KeepLatents`."""

    handle: LatentsHandle
    latents_bytes: int


class LatentsNotKept(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The other result of `KeepLatents`: the file cannot be used."""

    handle: LatentsHandle


ReplicaCommand = Run | Cancel | Pause | AddAdapter | RemoveAdapter | Prefetch | FetchLatents | PutLatents | DropLatents

ReplicaResult = (
    AdapterRead
    | AdapterNotRead
    | AdapterCopied
    | AdapterNotCopied
    | Prepared
    | NotPrepared
    | Folded
    | NotFolded
    | Stepped
    | StepFailed
    | StepLostAdapter
    | Decoded
    | RowPaused
    | Captured
    | LatentsKept
    | LatentsNotKept
)
"""`Captured` is the result of `CaptureRow` where there was something to capture; else there is none."""

ReplicaEvent = ReplicaCommand | Drained | ReplicaResult
