"""A controller whose clock and workers are in the hands of the test."""

from control.makers import adapter, finished, ready, request
from safelight.control.commands import AnswerOffer, Send
from safelight.control.config import ControlConfig
from safelight.control.events import AdapterOffered, Arrived, Reported, WorkerJoined, WorkerLeft
from safelight.control.fleet import FleetController
from safelight.core.work import AdapterAdded, AddAdapter, Prefetch, Ready, Run


class DrivenFleet:
    """A controller over workers that do only what the test reports."""

    def __init__(self, *workers, max_denoiser_rows=1, **settings):
        self.controller = FleetController(ControlConfig(**{"lookahead_rows": 0} | settings))
        self.now = 0.0
        self.max_denoiser_rows = max_denoiser_rows
        for worker in workers:
            self.join(worker)

    def handle(self, event, *, now=None):
        self.now = self.now if now is None else now
        return self.controller.handle(event, self.now)

    def arrive(self, name="one", **fields):
        return self.arrive_together(name, **fields)

    def arrive_together(self, *names, **fields):
        """Requests that are alike but for their names, and taken together or not at all."""
        return self.handle(Arrived(tuple(request(name, arrived_s=self.now, **fields) for name in names)))

    def join(self, worker, *specs):
        return self.handle(WorkerJoined(worker, ready(*specs, max_denoiser_rows=self.max_denoiser_rows)))

    def join_able(self, worker, *specs):
        """A worker joins that tells how many adapters it holds."""
        told = ready(*specs, max_denoiser_rows=self.max_denoiser_rows)
        fields = {name: getattr(told, name) for name in told.__struct_fields__}
        able = Ready(**fields | {"adapter_bytes": 1 << 30, "device_ranks": 64, "device_controlnets": 4})
        return self.handle(WorkerJoined(worker, able))

    def leave(self, worker, *, now=None):
        return self.handle(WorkerLeft(worker, "killed by signal 9"), now=now)

    def report(self, event, *, worker="w", now=None):
        return self.handle(Reported(worker, event), now=now)

    def finish(self, *names, **fields):
        return [command for name in names for command in self.report(finished(name), **fields)]

    def offer(self, name, *, worker="w", **fields):
        """Register an adapter that `worker` has read; returns its handle."""
        commands = self.handle(AdapterOffered(f"offer of {name}", name, f"/adapters/{name}"))
        (handle,) = {each.command.handle for each in commands if isinstance(each.command, AddAdapter)}
        answers = self.report(AdapterAdded(handle=handle, spec=adapter(name, **fields)), worker=worker)
        assert isinstance(answers[0], AnswerOffer)
        return handle

    @property
    def waiting(self):
        return [each.request.id for each in self.controller.waiting]

    @property
    def running(self):
        return {each.request.id: each for each in self.controller.running}

    def finish_s(self, name, *, now=None):
        """When a picture is expected to be ready."""
        return self.controller.expected(self.now if now is None else now)[name].finish_s


def assigned(commands):
    return [
        (each.command.job.id, each.worker, each.command.job.attempt)
        for each in commands
        if isinstance(each, Send) and isinstance(each.command, Run)
    ]


def prefetched(commands):
    return [
        (each.worker, each.command.handles)
        for each in commands
        if isinstance(each, Send) and isinstance(each.command, Prefetch)
    ]


def ends(commands):
    """All commands but those to workers."""
    return [each for each in commands if not isinstance(each, Send)]
