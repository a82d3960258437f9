"""The protocol between a service and the workers that it drives, wherever they run."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from safelight.core.errors import SafelightError
from safelight.core.work import Ready, WorkerCommand, WorkerEvent


class PoolMember(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that runs now.

    Attributes:
        ready: None while it loads its models.
        pid: its process id, if it is a process of this machine.
    """

    name: str
    ready: Ready | None
    pid: int | None = None


class PoolListener(Protocol):
    """Receives what happens to a pool's workers."""

    def joined(self, worker: str, ready: Ready) -> None:
        """A worker is ready; no other worker has or ever had its name."""

    def left(self, worker: str, reason: str) -> None:
        """A worker that was ready is gone with all that it held; `reason` is fit for users."""

    def reported(self, worker: str, events: Sequence[WorkerEvent]) -> None:
        """A worker sent events."""

    def restarting(self, worker: str) -> None:
        """A successor of this worker is about to start."""

    def collapsed(self, error: SafelightError) -> None:
        """No worker is ready, and none will be."""


class WorkerPool(Protocol):
    """Keeps workers running and passes messages; it decides nothing about requests."""

    def start(self, listener: PoolListener) -> None:
        """Start all workers, without waiting for them."""
        ...

    def send(self, worker: str, command: WorkerCommand) -> None:
        """Send a command; it is lost when that worker is gone."""
        ...

    @property
    def members(self) -> tuple[PoolMember, ...]:
        """The workers that run now, ready or not."""
        ...

    async def stop(self) -> None:
        """End all workers."""
        ...
