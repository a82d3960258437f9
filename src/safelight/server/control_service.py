"""The process that has the ControlNets of all workers, and the private folder with its socket."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from safelight.core.work import Ready, WorkerEvent
from safelight.server.errors import CannotServe
from safelight.server.logs import Log
from safelight.server.workers import Crew


class ControlService:
    """Keeps one process running, which is started again when it dies; `control-0.2` is the second one.

    Once it was ready it is started again for ever, since pictures without ControlNets do not need it.
    """

    def __init__(self, argv: Sequence[str], *, log: Log) -> None:
        self._folder = TemporaryDirectory(prefix="safelight-")  # made for this user alone
        self._address = str(Path(self._folder.name) / "controls")
        self._crew = Crew([*argv, "--socket", self._address], size=1, log=log, title="control", tireless=True)
        self._log = log

    @property
    def worker_options(self) -> tuple[str, ...]:
        """What it adds to the command line of a worker."""
        return ("--control-service", self._address)

    @property
    def is_ready(self) -> bool:
        """Whether it runs and takes connections."""
        return self._crew.ready_count > 0

    @property
    def pid(self) -> int | None:
        """Process id, while there is a process."""
        return next((member.pid for member in self._crew.members), None)

    def start(self, *, on_ready: Callable[[], None], on_collapse: Callable[[CannotServe], None]) -> None:
        """Start the process, without waiting for it."""
        self._crew.start(_Listener(log=self._log, on_ready=on_ready, on_collapse=on_collapse))

    async def stop(self) -> None:
        """End the process, and remove the folder."""
        await self._crew.stop()
        self._folder.cleanup()


@dataclass(frozen=True, kw_only=True)
class _Listener:
    log: Log
    on_ready: Callable[[], None]
    on_collapse: Callable[[CannotServe], None]

    def joined(self, worker: str, ready: Ready) -> None:
        self.log.info("control service ready", worker=worker)
        self.on_ready()

    def left(self, worker: str, reason: str) -> None:
        self.log.warning("control service lost", worker=worker, reason=reason)

    def reported(self, worker: str, events: Sequence[WorkerEvent]) -> None:
        """It reports nothing but that it is ready."""

    def restarting(self, worker: str) -> None:
        """The log tells of it when it starts."""

    def collapsed(self, error: CannotServe) -> None:
        self.on_collapse(error)
