"""The whole decision machine at once: the fleet's controller over virtual workers, in virtual time."""

from functools import partial

from fakes.virtual_time import VirtualTime
from fakes.virtual_worker import VirtualWorker
from safelight.adapters.capacity import AdapterCapacity
from safelight.control.commands import AnswerOffer, Deliver, Reject, Send
from safelight.control.config import ControlConfig
from safelight.control.events import AdapterOffered, Arrived, Reported, WorkerJoined, WorkerLeft
from safelight.control.fleet import FleetController
from safelight.control.replica.config import ReplicaConfig

CAPACITY = AdapterCapacity(host_bytes=1 << 40, device_ranks=4096, device_controlnets=8)


class VirtualFleet:
    """Workers that do exactly what their replicas decide, and take exactly as long as was measured."""

    def __init__(self, *models, max_denoiser_rows=8, lookahead_rows=2, adapters=(), score=None, **settings):
        """Start a worker for each of `models`, which are tuples of specs; `adapters` are specs."""
        self.time = VirtualTime()
        self.controller = FleetController(ControlConfig(lookahead_rows=lookahead_rows, **settings))
        self.workers = {}
        self.ready_s = {}
        self.rejected = set()
        self.outcomes = {}
        self.answers = {}
        self._specs = {f"/adapters/{spec.name}": spec for spec in adapters}
        self._score = score
        self._config = ReplicaConfig(
            max_denoiser_rows=max_denoiser_rows,
            order=self.policies.order,
            batching=self.policies.batching,
            adapter_mode=self.policies.adapter_mode,
            adapter_capacity=CAPACITY,
        )
        for specs in models:
            self.join(specs)
        for spec in adapters:
            self.handle(AdapterOffered(spec.name, spec.name, f"/adapters/{spec.name}"))
        self.time.run()
        assert len(self.answers) == len(self._specs)

    @property
    def policies(self):
        return self.controller._fleet.policies

    def join(self, specs):
        name = f"w{len(self.workers)}"
        self.workers[name] = VirtualWorker(
            specs,
            time=self.time,
            send=partial(self._reported, name),
            config=self._config,
            adapters=self._specs,
            score=self._score,
        )
        self.handle(WorkerJoined(name, self.workers[name].ready))
        return name

    def kill(self, name):
        self.workers[name].is_dead = True
        self.handle(WorkerLeft(name, "killed by signal 9"))

    def arrive(self, *requests):
        self.handle(Arrived(requests))

    def handle(self, event):
        for command in self.controller.handle(event, self.time.now_s()):
            match command:
                case Send(worker, sent):
                    self.workers[worker].post(sent)
                case Deliver(ended, _, outcome):
                    self.ready_s[ended.id] = self.time.now_s()
                    self.outcomes[ended.id] = outcome
                case Reject(refused):
                    self.rejected.add(refused.id)
                case AnswerOffer(offer, result):
                    self.answers[offer] = result

    def _reported(self, name, event):
        if not self.workers[name].is_dead:
            self.handle(Reported(name, event))
