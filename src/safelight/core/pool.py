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
    """Receives the events of a pool's workers."""

    def joined(self, worker: str, ready: Ready) -> None:
        """A worker is ready; its name is never used for another one."""

    def left(self, worker: str, reason: str) -> None:
        """A worker that was ready has ended, and what it held is lost; `reason` is fit for users."""

    def reported(self, worker: str, events: Sequence[WorkerEvent]) -> None:
        """A worker sent events."""

    def restarting(self, worker: str) -> None:
        """The successor of this worker is about to start."""

    def collapsed(self, error: SafelightError) -> None:
        """No worker is ready, and none can be started."""


class WorkerPool(Protocol):
    """Keeps workers running and passes messages; it decides nothing about requests."""

    def start(self, listener: PoolListener) -> None:
        """Start all workers, without waiting for them."""
        ...

    def send(self, worker: str, command: WorkerCommand) -> None:
        """Send a command; it is lost if that worker has ended."""
        ...

    @property
    def members(self) -> tuple[PoolMember, ...]:
        """The running workers, ready or not."""
        ...

    async def stop(self) -> None:
        """End all workers."""
        ...
