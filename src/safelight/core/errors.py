"""The error tree.

SafelightError
├── RequestError              the caller can correct it
│   ├── InvalidParameter
│   ├── UnknownModel
│   ├── UnknownSampler
│   ├── UnknownAdapter
│   ├── AdapterExists
│   ├── AdapterMisfit         it is of another kind, or for another model
│   ├── AdapterTooLarge
│   └── TooManyAdapters
├── Rejected                  valid, but not accepted now; retry after `retry_after_s`
│   ├── QueueFull
│   ├── TenantQueueFull
│   ├── DeadlineUnmeetable
│   ├── NotReady
│   └── Draining
├── WorkFailed                accepted, but ended without a picture
│   └── DeadlineExpired       given up after its deadline, as the client has asked
├── Cancelled                 accepted, but cancelled before it was ready
│   └── ShutDown              the server shuts down
├── CannotServe               nothing can be served; an operator is needed
├── ControlNetServiceLost     the ControlNet process has ended, or does not answer
├── ControlNetServiceEnded    loading a ControlNet ends that process repeatedly
├── AdapterLost               an adapter that rows use no longer computes; it can be loaded again
├── ModelFolderError          a model on disk cannot be served
├── LevelFileError            a level predictor cannot be read
├── GateFileError             a gate cannot be read, or was made for other models
├── CascadeFileError          a file of cascades cannot be read
├── PlacementError            the device or the precision is not available
├── AdapterFileError          an adapter on disk cannot be used
├── ExtensionError            a member that an installed package adds cannot be used
├── ProfileError              a profile's file cannot be read
└── LatentsFileError          a latents file cannot be read, or does not fit the row
"""

import difflib
import itertools
from collections.abc import Sequence
from pathlib import Path

from safelight.core.adapter import AdapterHandle

MOST_NAMES_LISTED = 20
_MOST_CHARACTERS_COMPARED = 256
_MOST_NAMES_COMPARED = 500
_LETTERS_ALIKE = 2


class SafelightError(Exception):
    """Root of all errors that Safelight raises on purpose; the message is fit for users."""


class RequestError(SafelightError):
    """A request that can never be served as it is.

    Attributes:
        param: the invalid field, if there is one.
        code: a short, stable name for programs.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class InvalidParameter(RequestError):
    """A field with a value that cannot be used."""

    def __init__(self, param: str, value: object, rule: str) -> None:
        super().__init__(f"{param} is {shorten(value)}; {rule}.", param=param, code="invalid_value")


class UnknownModel(RequestError):
    """A model that no worker serves."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(
            f"No model named {shorten(name)}; {nearest(name, known)}", param="model", code="model_not_found"
        )


class UnknownSampler(RequestError):
    """A sampler that does not exist."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(
            f"No sampler named {shorten(name)}; {nearest(name, known)}", param="sampler", code="invalid_value"
        )


class UnknownAdapter(RequestError):
    """An adapter that is not registered, or no longer is."""

    def __init__(self, name: str, known: Sequence[str], *, param: str = "loras") -> None:
        super().__init__(
            f"No adapter named {shorten(name)}; {nearest(name, known)} Register it with `safelight adapters add`.",
            param=param,
            code="adapter_not_found",
        )


class AdapterExists(RequestError):
    """A registered adapter has this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is an adapter named {shorten(name)} already; remove it first, or give this one another name.",
            param="name",
            code="adapter_exists",
        )


class AdapterMisfit(RequestError):
    """An adapter of another kind, or made for another model."""

    def __init__(self, name: str, *, made: str, asked: str, param: str = "loras") -> None:
        super().__init__(
            f"{shorten(name)} is a {made}, so it cannot be used as a {asked}.", param=param, code="adapter_misfit"
        )


class AdapterTooLarge(RequestError):
    """An adapter that exceeds the capacity for adapters."""

    def __init__(self, name: str, *, needs: str, limit: str) -> None:
        super().__init__(
            f"{shorten(name)} has {needs}, and adapters here may have at most {limit}; "
            "make room for larger ones, or export it smaller.",
            param="name",
            code="adapter_too_large",
        )


class TooManyAdapters(RequestError):
    """More adapters in one request than a picture may have, or than fit into memory together."""

    def __init__(self, count: int, *, limit: int, param: str = "loras") -> None:
        super().__init__(
            f"{param} names {count} adapters; a picture may have at most {limit}. Leave some out.",
            param=param,
            code="too_many_adapters",
        )


class Rejected(SafelightError):
    """A valid request that is not accepted now.

    Attributes:
        reason: a short, stable name for logs and metrics.
        retry_after_s: seconds from now after which a retry may succeed.
    """

    def __init__(self, message: str, *, reason: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


class QueueFull(Rejected):
    """The queue is full, in pictures or in bytes of input pictures."""

    def __init__(self, *, waiting: int, retry_after_s: float) -> None:
        super().__init__(
            f"The queue is full with {waiting} pictures; try again in {retry_after_s:.0f} s.",
            reason="queue_full",
            retry_after_s=retry_after_s,
        )


class TenantQueueFull(Rejected):
    """One tenant has as many waiting pictures as it may have; others are still accepted."""

    def __init__(self, *, waiting: int, retry_after_s: float) -> None:
        super().__init__(
            f"{waiting} of your pictures wait, and the queue takes no more from one tenant now; "
            f"try again in {retry_after_s:.0f} s.",
            reason="tenant_queue_full",
            retry_after_s=retry_after_s,
        )


class DeadlineUnmeetable(Rejected):
    """The picture would be ready after its deadline."""

    def __init__(self, *, deadline_s: float, expected_s: float, retry_after_s: float) -> None:
        self.expected_s = expected_s
        super().__init__(
            f"The picture is wanted within {deadline_s:.3g} s but would take about {expected_s:.3g} s from now; "
            f"allow more time, ask for fewer steps, or try again in {retry_after_s:.0f} s.",
            reason="deadline_unmeetable",
            retry_after_s=retry_after_s,
        )


class NotReady(Rejected):
    """A part that the request needs is still loading."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message, reason="not_ready", retry_after_s=retry_after_s)


class Draining(Rejected):
    """The server finishes accepted work and accepts nothing new."""

    def __init__(self, *, retry_after_s: float) -> None:
        super().__init__(
            "The server is shutting down and takes no new work; try another replica.",
            reason="draining",
            retry_after_s=retry_after_s,
        )


class WorkFailed(SafelightError):
    """Accepted work that ended without a picture.

    Attributes:
        reason: a short, stable name for logs and metrics.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class DeadlineExpired(WorkFailed):
    """An accepted picture that was given up when its deadline had passed, as the client has asked."""

    def __init__(self, *, deadline_s: float) -> None:
        super().__init__(
            f"The picture was not ready within {deadline_s:.3g} s, and on_deadline was 'expire'; "
            "allow more time, or send on_deadline 'finish' to get late pictures.",
            reason="deadline_expired",
        )


class Cancelled(SafelightError):
    """A picture that was cancelled before it was ready."""

    reason = "cancelled"

    def __init__(self, message: str = "The picture was cancelled before it was ready.") -> None:
        super().__init__(message)


class ShutDown(Cancelled):
    """A picture that is lost because the server shuts down."""

    reason = "shut_down"

    def __init__(self) -> None:
        super().__init__("The server was shut down before the picture was ready; try another replica.")


class CannotServe(SafelightError):
    """Nothing can be served, and a retry does not help."""


class ControlNetServiceLost(SafelightError):
    """The ControlNet process has ended, does not answer, or could not compute; a retry may succeed."""


class ControlNetServiceEnded(SafelightError):
    """The ControlNet process has ended each time it loaded this ControlNet."""


class AdapterLost(SafelightError):
    """An adapter on the device no longer computes; no row has changed, and all can continue once it is loaded again.

    Attributes:
        handle: of the adapter.
    """

    def __init__(self, handle: AdapterHandle, reason: str) -> None:
        super().__init__(reason)
        self.handle = handle


class ModelFolderError(SafelightError):
    """A model folder that is missing, damaged, or not allowed."""


class GateFileError(SafelightError):
    """A file of a gate that is missing, damaged, or made for other models."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The gate {shorten(str(path))} cannot be used: {reason}.")


class LevelFileError(SafelightError):
    """A file of a level predictor that is missing, damaged, or of another version."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The level predictor {shorten(str(path))} cannot be used: {reason}.")


class CascadeFileError(SafelightError):
    """A file of cascades that is missing, damaged, or of another version."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The cascades in {shorten(str(path))} cannot be used: {reason.rstrip('.')}.")


class PlacementError(SafelightError):
    """A device or a precision that is not available."""


class AdapterFileError(SafelightError):
    """An adapter's file or folder that is missing, damaged, not allowed, or made for another model."""

    reason = "adapter_refused"


class ExtensionError(SafelightError):
    """A sampler, policy, family, dataset or endpoint of another package that cannot be used."""

    def __init__(self, group: str, member: str, reason: str) -> None:
        super().__init__(f"{shorten(member)}, installed as one of {group}, cannot be used: {reason}.")


class ProfileError(SafelightError):
    """A profile that cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The profile cannot be used: {reason.rstrip('.')}.")


class LatentsFileError(SafelightError):
    """A latents file that is damaged, or not one that the row can use."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The latents file cannot be used: {reason}.")


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a phrase that lists the names most similar to `name`, else all names, up to a number of names."""
    close = difflib.get_close_matches(name[:_MOST_CHARACTERS_COMPARED], _comparable(name, known), n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(match) for match in close) + "?"
    further = f" and {len(known) - MOST_NAMES_LISTED:,} more" if len(known) > MOST_NAMES_LISTED else ""
    return "there is " + (", ".join(repr(match) for match in known[:MOST_NAMES_LISTED]) or "none yet") + further + "."


def _comparable(name: str, known: Sequence[str]) -> Sequence[str]:
    """Return the names to compare `name` with: of very many, some that begin alike."""
    if len(known) <= _MOST_NAMES_COMPARED:
        return known
    beginning = name[:_LETTERS_ALIKE].lower()
    alike = (other for other in known if other[:_LETTERS_ALIKE].lower() == beginning)
    return list(itertools.islice(alike, _MOST_NAMES_COMPARED))


def shorten(value: object, *, limit: int = 80) -> str:
    """Return `repr(value)`, in at most `limit` characters; of a longer text, the beginning and the end.

    The time does not grow with the size of texts and collections.
    """
    text = repr(_excerpt(value, limit))
    if len(text) <= limit:
        return text
    end = limit // 2
    return f"{text[: limit - 1 - end]}…{text[-end:]}"


def _excerpt(value: object, limit: int, levels: int = 3) -> object:
    """Return a value whose `repr` begins and ends like that of `value` for `limit` characters, if that is long."""
    match value:
        case str() | bytes() if len(value) > 2 * limit:
            return value[:limit] + value[-limit:]  # type: ignore[operator] # two of one type
        case list() | dict() if value and not levels:
            return ...
        case list():
            items = value if len(value) <= 2 * limit else [*value[:limit], *value[-limit:]]
            return [_excerpt(item, limit, levels - 1) for item in items]
        case dict():
            last = list(itertools.islice(reversed(value), limit)) if len(value) > limit else []
            keys = (*itertools.islice(value, limit), *reversed(last))
            return {_excerpt(key, limit): _excerpt(value[key], limit, levels - 1) for key in keys}
    return value
