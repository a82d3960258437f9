"""The worker's loop: reports commands and results to the replica, and executes its effects."""

import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import Protocol

from safelight.control.replica.config import ReplicaConfig, ready
from safelight.control.replica.effects import Effect
from safelight.control.replica.events import AdapterNotRead, AdapterRead, Drained, ReplicaEvent
from safelight.core.work import Stop, WorkerCommand
from safelight.worker.adapters import AdapterLoader
from safelight.worker.effects import LONG, EffectRunner, Send
from safelight.worker.engine import Engine
from safelight.worker.heartbeat import Activity

Inbox = SimpleQueue[WorkerCommand | AdapterRead | AdapterNotRead | None]
"""Commands in order of arrival, and results of reads; None marks the end."""


class Flush(Protocol):
    """Writes the events that were sent."""

    def __call__(self, *, is_last: bool) -> None:
        """Write them; those that can wait are kept unless `is_last`, which means that the next flush may be late."""
        ...


def _sent_at_once(*, is_last: bool) -> None:
    """Write nothing, since `send` writes at once."""


class Replica(Protocol):
    """Makes the decisions: a `ReplicaMachine`."""

    @property
    def config(self) -> ReplicaConfig: ...

    @property
    def is_idle(self) -> bool: ...

    def handle(self, event: ReplicaEvent, now: float) -> list[Effect]: ...


class WorkerLoop:
    """Runs one engine until `Stop` or the end of the inbox."""

    def __init__(
        self,
        engine: Engine,
        replica: Replica,
        *,
        inbox: Inbox,
        send: Send,
        flush: Flush = _sent_at_once,
        activity: Activity | None = None,
    ) -> None:
        self._engine = engine
        self._replica = replica
        self._inbox = inbox
        self._send = send
        self._flush = flush
        self._activity = activity or Activity()
        self._loader = AdapterLoader(engine, post=inbox.put)
        self._runner = EffectRunner(engine, self._loader, send=send)

    def run(self) -> None:
        """Serve commands until `Stop` or the end of the inbox."""
        self._send(ready(self._engine.models, self._replica.config, tuple(gate.spec for gate in self._engine.gates)))
        try:
            while self._take_commands():
                self._report(Drained())
                self._flush(is_last=False)
        finally:
            self._loader.close()
            self._flush(is_last=True)

    def _take_commands(self) -> bool:
        """Report all waiting commands; wait for one if there is nothing to run. Returns whether to continue."""
        if self._replica.is_idle:
            self._flush(is_last=True)
            self._activity.rest()
            if not self._obey(self._inbox.get()):
                return False
        while True:
            try:
                command = self._inbox.get_nowait()
            except Empty:
                return True
            if not self._obey(command):
                return False

    def _obey(self, command: WorkerCommand | AdapterRead | AdapterNotRead | None) -> bool:
        if command is None or isinstance(command, Stop):
            return False
        self._report(command)
        return True

    def _report(self, event: ReplicaEvent) -> None:
        """Report an event, and execute all effects that follow from it."""
        effects = deque(self._replica.handle(event, time.monotonic()))
        while effects:
            effect = effects.popleft()
            if isinstance(effect, LONG):
                self._flush(is_last=False)
            self._activity.begin()
            result = self._runner.run(effect)
            if result is not None:
                effects.extend(self._replica.handle(result, time.monotonic()))
