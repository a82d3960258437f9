"""The protocol between a service and its workers, wherever they run."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from safelight.core.errors import SafelightError
from safelight.core.work import Ready, WorkerCommand, WorkerEvent


class PoolMember(msgspec.Struct, frozen=True, kw_only=True):
    """A running worker.

    Attributes:
        ready: None while it loads its models.
        pid: its process id, if it is a process of this machine.
    """

    name: str
    ready: Ready | None
    pid: int | None = None


class PoolListener(Protocol):
    """Receives the events of a pool's workers.

    For each worker come, in this order: `starting`, then `joined`, `reported` any number of times, and `left`; or
    `starting` and `start_failed`. A worker that could not even begin to start has a `start_failed` alone.
    """

    def starting(self, worker: str) -> None:
        """A worker begins to load its models; it may report `Beat` before it is ready."""

    def start_failed(self, worker: str, reason: str) -> None:
        """A worker has ended, or could not be started, before it was ready; `reason` may hold paths."""

    def joined(self, worker: str, ready: Ready) -> None:
        """A worker is ready; its name is never used for another one."""

    def left(self, worker: str, reason: str) -> None:
        """A worker that was ready has ended, and what it held is lost; `reason` is fit for users."""

    def reported(self, worker: str, events: Sequence[WorkerEvent]) -> None:
        """A worker sent events; none if a part of one has come, which is a sign of life too."""

    def restarting(self, worker: str) -> None:
        """The successor of this worker is about to start."""

    def collapsed(self, error: SafelightError) -> None:
        """No worker is ready, and none can be started; the pool has given up."""


class WorkerPool(Protocol):
    """Keeps workers running and passes messages; it decides nothing about requests."""

    def start(self, listener: PoolListener) -> None:
        """Start all workers, without waiting for them."""
        ...

    def send(self, worker: str, command: WorkerCommand) -> None:
        """Send a command; it is lost if that worker has ended."""
        ...

    def kill(self, worker: str) -> None:
        """End a worker at once, ready or not, since it hangs: `left` or `start_failed` follows, and a successor."""
        ...

    @property
    def members(self) -> tuple[PoolMember, ...]:
        """The running workers, ready or not."""
        ...

    async def stop(self) -> None:
        """End all workers."""
        ...
