"""Collects what a picture leaves for later ones: its estimates, as workers capture them, and the picture itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from safelight.core.outcome import Outcome
from safelight.core.source import LatentsHandle
from safelight.core.work import (
    Captured,
    DropLatents,
    FetchLatents,
    Finished,
    LatentsDropped,
    LatentsFetched,
    WorkerCommand,
)

Send = Callable[[str, WorkerCommand], None]
"""`(worker, command)`."""

MOST_RECORDINGS: Final = 1024
"""Beyond it, further pictures leave nothing: their latents wait in memory until they have ended."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """All that one picture leaves; `latents` are (noise level, handle, file) from high to low."""

    outcome: Outcome
    finished: Finished
    latents: tuple[tuple[float, LatentsHandle, bytes], ...]
    schedule: tuple[float, ...]


@dataclass
class _Open:
    worker: str = ""
    noises: dict[LatentsHandle, float] = field(default_factory=dict)
    files: dict[LatentsHandle, bytes] = field(default_factory=dict)
    awaited: set[LatentsHandle] = field(default_factory=set)
    schedule: tuple[float, ...] = ()
    end: tuple[Outcome, Finished] | None = None


class Recorder:
    """Fetches captured latents at once, so that the worker can free them.

    Args:
        send: to a worker.
        record: is called once with each whole recording.
        learn: is called with the schedule of a row as soon as it is known: the request's id, and its noise levels.
    """

    def __init__(
        self,
        *,
        send: Send,
        record: Callable[[Recording], None],
        learn: Callable[[str, tuple[float, ...]], None],
    ) -> None:
        self._send = send
        self._record = record
        self._learn = learn
        self._open: dict[str, _Open] = {}
        self._request_of: dict[LatentsHandle, str] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, request_id: str) -> None:
        """Collect what this request leaves, unless too many others do."""
        if len(self._open) < MOST_RECORDINGS:
            self._open[request_id] = _Open()

    def note(self, worker: str, event: Captured | LatentsFetched | LatentsDropped) -> None:
        """Take in what a worker says about latents."""
        match event:
            case Captured():
                self._captured(worker, event)
            case LatentsFetched(handle=handle, file=file):
                self._settle(worker, handle, file)
            case LatentsDropped(handle=handle):
                self._settle(worker, handle, None)

    def lost(self, worker: str) -> None:
        """Await nothing any more from a worker that has ended."""
        for handle, request_id in list(self._request_of.items()):
            if self._open[request_id].worker == worker:
                self._settle(worker, handle, None)

    def finished(self, outcome: Outcome, finished: Finished) -> None:
        """Record a picture as soon as its latents are here."""
        opened = self._open.get(outcome.request.id)
        if opened is not None:
            opened.end = (outcome, finished)
            self._close(outcome.request.id, opened)

    def dropped(self, request_id: str) -> None:
        """Forget a request that has ended without a picture."""
        opened = self._open.get(request_id)
        if opened is not None and opened.end is None:
            self._forget(request_id)

    def _captured(self, worker: str, event: Captured) -> None:
        opened = self._open.get(event.request_id)
        if opened is None:
            self._send(worker, DropLatents(handle=event.handle))
            return
        if opened.worker != worker:
            self._forget(event.request_id)
            opened = self._open[event.request_id] = _Open(worker=worker)
        opened.noises[event.handle] = event.noise
        opened.awaited.add(event.handle)
        opened.schedule = event.noises
        self._request_of[event.handle] = event.request_id
        self._learn(event.request_id, event.noises)
        self._send(worker, FetchLatents(handle=event.handle))

    def _settle(self, worker: str, handle: LatentsHandle, file: bytes | None) -> None:
        request_id = self._request_of.pop(handle, None)
        if request_id is None:
            return
        opened = self._open[request_id]
        opened.awaited.discard(handle)
        if file is not None:
            opened.files[handle] = file
            self._send(worker, DropLatents(handle=handle))
        self._close(request_id, opened)

    def _close(self, request_id: str, opened: _Open) -> None:
        if opened.awaited or opened.end is None:
            return
        outcome, finished = opened.end
        self._forget(request_id)
        order = sorted(opened.files, key=lambda handle: -opened.noises[handle])
        latents = tuple((opened.noises[handle], handle, opened.files[handle]) for handle in order)
        self._record(Recording(outcome=outcome, finished=finished, latents=latents, schedule=opened.schedule))

    def _forget(self, request_id: str) -> None:
        opened = self._open.pop(request_id)
        for handle in opened.awaited:
            self._request_of.pop(handle, None)
