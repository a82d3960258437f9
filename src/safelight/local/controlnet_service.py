"""The process with the ControlNets of all workers, and the private folder with its socket."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from safelight.core.errors import SafelightError
from safelight.core.log import Log
from safelight.core.work import Ready, WorkerEvent
from safelight.local.pool import LocalPool

MISSING = "The ControlNet service is not ready; pictures without ControlNets are taken."


class ControlNetServiceProcess:
    """Keeps one process running, and restarts it when it dies; `controlnets-0.2` is the second one.

    If it was ready once, it is restarted forever, since pictures without ControlNets do not need it.
    """

    def __init__(self, argv: Sequence[str], *, log: Log) -> None:
        self._folder = TemporaryDirectory(prefix="safelight-")  # accessible to this user only
        self._address = str(Path(self._folder.name) / "controls")
        self._pool = LocalPool([*argv, "--socket", self._address], size=1, log=log, title="controlnets", tireless=True)
        self._log = log

    @property
    def worker_options(self) -> tuple[str, ...]:
        """The options that it adds to the command line of a worker."""
        return ("--controlnet-service", self._address)

    @property
    def pid(self) -> int | None:
        """Process id, while there is a process."""
        return next((member.pid for member in self._pool.members), None)

    def start(self, *, on_change: Callable[[str | None], None], on_collapse: Callable[[SafelightError], None]) -> None:
        """Start the process, without waiting for it.

        `on_change` gets a message while the process is not ready, and None once it is.
        """
        on_change(MISSING)
        self._pool.start(_Listener(log=self._log, on_change=on_change, on_collapse=on_collapse))

    async def stop(self) -> None:
        """End the process, and remove the folder."""
        await self._pool.stop()
        self._folder.cleanup()


@dataclass(frozen=True, kw_only=True)
class _Listener:
    log: Log
    on_change: Callable[[str | None], None]
    on_collapse: Callable[[SafelightError], None]

    def joined(self, worker: str, ready: Ready) -> None:
        self.log.info("ControlNet service ready", worker=worker)
        self.on_change(None)

    def left(self, worker: str, reason: str) -> None:
        self.log.warning("ControlNet service lost", worker=worker, reason=reason)
        self.on_change(MISSING)

    def reported(self, worker: str, events: Sequence[WorkerEvent]) -> None:
        """It sends no events except `Ready`."""

    def restarting(self, worker: str) -> None:
        """The pool logs the start."""

    def collapsed(self, error: SafelightError) -> None:
        self.on_collapse(error)
