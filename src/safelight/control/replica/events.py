"""Events for a replica: commands in order of arrival, and the results of effects.

The worker reports a result as soon as its effect is over, before it begins the next effect. It reports commands,
`AdapterRead` and `AdapterNotRead` only when no effect is left. All events can be encoded as MessagePack, so that a
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
    Place,
    Prefetch,
    PutLatents,
    RemoveAdapter,
    Run,
)


class Drained(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """No command is waiting: the next tick may run."""


class AdapterRead(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `ReadAdapter`, at any later time: the weights are in host memory."""

    handle: AdapterHandle
    spec: AdapterSpec


class AdapterNotRead(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The other result of `ReadAdapter`.

    Attributes:
        reason: fit for users.
        is_service_lost: whether the process that reads it is unreachable, so that nothing is known about the adapter.
    """

    handle: AdapterHandle
    reason: str
    is_service_lost: bool = False


class AdapterCopied(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `CopyAdapter`: the weights are on the device too."""

    handle: AdapterHandle


class AdapterNotCopied(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The other result of `CopyAdapter`: nothing of it is on the device."""

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
    """The other result of `Fold`: the content of the weights is unknown."""

    model: str
    reason: str


class Stepped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `Step`, whose `steps` calls took `seconds`; the latents of `broken_ids` are not finite.

    Those of `reused_ids` took over the prediction of an earlier step.
    """

    seconds: float
    steps: int = 1
    broken_ids: tuple[str, ...] = ()
    reused_ids: tuple[str, ...] = ()


class StepFailed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Another result of `Step`: its rows are unusable."""

    reason: str


class StepLostAdapter(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Another result of `Step`: this adapter no longer computes, and no row has changed."""

    handle: AdapterHandle
    reason: str


class Decoded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `FinishRows`, which took `seconds`.

    Attributes:
        prompt_tokens: how many tokens of each prompt the model read.
        known: those whose prompts had been encoded before.
        scores: by request, of those that a gate has scored.
    """

    request_ids: tuple[str, ...]
    seconds: float
    prompt_tokens: tuple[int, ...]
    known: tuple[str, ...] = ()
    scores: dict[str, float] = {}


class RowPaused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `PauseRow`: the row is free, and `row` is its state in the engine."""

    request_id: str
    row: PausedRow


class LatentsKept(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The result of `KeepLatents`."""

    handle: LatentsHandle
    latents_bytes: int


class LatentsNotKept(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The other result of `KeepLatents`: the file cannot be used."""

    handle: LatentsHandle


ReplicaCommand = (
    Run | Cancel | Pause | AddAdapter | RemoveAdapter | Prefetch | Place | FetchLatents | PutLatents | DropLatents
)

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
"""`Captured` is the result of `CaptureRow` if there was something to capture; otherwise there is no result."""

ReplicaEvent = ReplicaCommand | Drained | ReplicaResult
