"""A pool of virtual workers: a service runs over it without a process, and without waiting."""

from functools import partial

from fakes.virtual_worker import VirtualWorker
from safelight.core.pool import PoolMember
from safelight.core.work import Beat


class FakePool:
    """Starts `count` workers that are ready `load_s` later; what `kill` ends has a successor after as long again.

    Attributes:
        sent: every command, with the worker that it was for.
        silent: workers that are stopped: what they send comes when they leave this set through `go_on`.
    """

    def __init__(self, models, *, time, config, count=1, load_s=1.0, adapters=(), score=None, beat_s=None):
        self.sent = []
        self.is_stopped = False
        self._models = models
        self._time = time
        self._config = config
        self._count = count
        self._load_s = load_s
        self._adapters = adapters
        self._score = score
        self._listener = None
        self._workers = {}
        self._beat_s = beat_s
        self._starts = 0
        self.silent = set()
        self._unheard = {}

    def start(self, listener):
        self._listener = listener
        for _ in range(self._count):
            self._begin()

    def send(self, worker, command):
        self.sent.append((worker, command))
        if (found := self._workers.get(worker)) is not None:
            found.post(command)

    @property
    def members(self):
        return tuple(PoolMember(name=name, ready=each and each.ready) for name, each in self._workers.items())

    async def stop(self):
        self.is_stopped = True
        for worker in self._workers.values():
            worker.is_dead = True
        self._workers.clear()

    def kill(self, name, *, has_successor=True):
        """End a worker that is ready."""
        worker = self._workers.pop(name)
        if worker is None:
            self._listener.start_failed(name, "killed by signal 9")
        else:
            worker.is_dead = True
            self._listener.left(name, "killed by signal 9")
        if has_successor:
            self._listener.restarting(name)
            self._begin()

    def stop_worker(self, name):
        """Let nothing be heard of a worker that goes on by itself."""
        self.silent.add(name)

    def go_on(self, name):
        """Let all be heard that was not."""
        self.silent.discard(name)
        for event in self._unheard.pop(name, ()):
            self._reported(name, event)

    def _beat(self, name):
        if name in self._workers:
            self._reported(name, Beat())
            self._time.call_later(self._beat_s, partial(self._beat, name))

    def collapse(self, error):
        self._listener.collapsed(error)

    def report(self, name, *events):
        """Report what a worker, dead or alive, might have sent."""
        self._listener.reported(name, events)

    def _begin(self):
        self._starts += 1
        name = f"w{self._starts}"
        self._workers[name] = None
        if self._beat_s is not None:
            self._listener.starting(name)
            self._beat(name)
        self._time.call_later(self._load_s, partial(self._joined, name))

    def _joined(self, name):
        if self.is_stopped or name not in self._workers:
            return
        worker = self._workers[name] = VirtualWorker(
            self._models,
            time=self._time,
            send=partial(self._reported, name),
            config=self._config,
            adapters=self._adapters,
            score=self._score,
        )
        self._listener.joined(name, worker.ready)

    def _reported(self, name, event):
        if name in self.silent:
            self._unheard.setdefault(name, []).append(event)
        elif name in self._workers:
            self._listener.reported(name, [event])
