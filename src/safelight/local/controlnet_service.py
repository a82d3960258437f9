"""The process with the ControlNets of all workers, and the private folder with its socket."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from safelight.control.liveness import Liveness, LivenessLimits
from safelight.core.errors import SafelightError
from safelight.core.log import Log
from safelight.core.work import Ready, WorkerEvent
from safelight.local.pool import LocalPool

MISSING = "The ControlNet service is not ready; pictures without ControlNets are taken."
SILENT = "The ControlNet service does not respond; pictures without ControlNets are taken."


class ControlNetServiceProcess:
    """Keeps one process running, and restarts it when it dies or hangs; `controlnets-0.2` is the second one.

    If it was ready once, it is restarted forever, since pictures without ControlNets do not need it.
    """

    def __init__(self, argv: Sequence[str], *, log: Log, liveness: LivenessLimits | None = None) -> None:
        self._folder = TemporaryDirectory(prefix="safelight-")  # accessible to this user only
        self._address = str(Path(self._folder.name) / "controls")
        self._limits = liveness or LivenessLimits()
        self._pool = LocalPool(
            [*argv, "--socket", self._address],
            size=1,
            log=log,
            title="controlnets",
            tireless=True,
            beat_s=self._limits.beat_s,
        )
        self._log = log
        self._watching: asyncio.Task[None] | None = None

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

        `on_change` gets a message while the process is not ready or does not respond, and None once it is.
        """
        on_change(MISSING)
        listener = _Listener(
            log=self._log,
            pool=self._pool,
            liveness=Liveness(self._limits),
            on_change=on_change,
            on_collapse=on_collapse,
        )
        self._pool.start(listener)
        self._watching = asyncio.create_task(listener.watch())

    async def stop(self) -> None:
        """End the process, and remove the folder."""
        if self._watching is not None:
            self._watching.cancel()
        await self._pool.stop()
        self._folder.cleanup()


@dataclass(kw_only=True)
class _Listener:
    log: Log
    pool: LocalPool
    liveness: Liveness
    on_change: Callable[[str | None], None]
    on_collapse: Callable[[SafelightError], None]
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    async def watch(self) -> None:
        """Check again and again whether the process hangs."""
        while True:
            await asyncio.sleep(self.liveness.limits.beat_s)
            self._check()

    def starting(self, worker: str) -> None:
        self.liveness.starting(worker, self.loop.time())

    def start_failed(self, worker: str, reason: str) -> None:
        self.liveness.left(worker)

    def joined(self, worker: str, ready: Ready) -> None:
        self.log.info("ControlNet service ready", worker=worker)
        self.liveness.joined(worker, self.loop.time())
        self.on_change(None)

    def left(self, worker: str, reason: str) -> None:
        self.log.warning("ControlNet service lost", worker=worker, reason=reason)
        self.liveness.left(worker)
        self.on_change(MISSING)

    def reported(self, worker: str, events: Sequence[WorkerEvent]) -> None:
        for event in events or (None,):
            self.liveness.heard(worker, event, self.loop.time())

    def restarting(self, worker: str) -> None:
        """The pool logs the start."""

    def collapsed(self, error: SafelightError) -> None:
        self.on_collapse(error)

    def _check(self) -> None:
        for change in self.liveness.check(self.loop.time(), lambda _: 0.0):
            match change.state:
                case "suspected":
                    self.log.warning("ControlNet service suspected", worker=change.worker, reason=change.reason)
                    self.on_change(SILENT)
                case "responds":
                    self.log.info("ControlNet service responds again", worker=change.worker)
                    self.on_change(None)
                case "hung":
                    self.log.error("ControlNet service hung", worker=change.worker, reason=change.reason)
                    self.pool.kill(change.worker)
