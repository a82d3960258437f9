"""The whole decision machine at once: the fleet's controller over virtual workers, in virtual time."""

from functools import partial

from fakes.virtual_time import VirtualTime
from fakes.virtual_worker import VirtualWorker
from safelight.adapters.capacity import AdapterCapacity
from safelight.control.commands import AnswerOffer, Deliver, Dismissed, GiveUp, Reject, Send
from safelight.control.config import ControlConfig
from safelight.control.events import AdapterOffered, Arrived, Reported, TimePassed, WorkerJoined, WorkerLeft
from safelight.control.fleet import FleetController
from safelight.control.replica.config import ReplicaConfig

CAPACITY = AdapterCapacity(host_bytes=1 << 40, device_ranks=4096, device_controlnets=8)


class VirtualFleet:
    """Workers that do exactly what their replicas decide, and take exactly as long as was measured."""

    def __init__(
        self,
        *models,
        max_denoiser_rows=8,
        lookahead_rows=2,
        adapters=(),
        score=None,
        slowness=1.0,
        reports_late=False,
        **settings,
    ):
        """Start a worker for each of `models`, which are tuples of specs; `adapters` are specs.

        With `reports_late`, a worker that has reported something goes on before the controller's answer comes, as a
        process behind a pipe does.
        """
        self.time = VirtualTime()
        self._reports_late = reports_late
        self.controller = FleetController(ControlConfig(lookahead_rows=lookahead_rows, **settings))
        self.workers = {}
        self.ready_s = {}
        self.rejected = set()
        self.errors = {}
        self._wakeup_s = None
        self._slowness = slowness
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
            slowness=self._slowness,
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
                case Reject(refused, error):
                    self.rejected.add(refused.id)
                    self.errors[refused.id] = error
                case GiveUp(ended, error, outcome):
                    self.outcomes[ended.id] = outcome
                    self.errors[ended.id] = error
                case Dismissed(ended, outcome):
                    self.outcomes[ended.id] = outcome
                case AnswerOffer(offer, result):
                    self.answers[offer] = result

        self._plan_wakeup()

    def _plan_wakeup(self):
        wakeup_s = self.controller.next_wakeup_s
        if wakeup_s is not None and wakeup_s != self._wakeup_s:
            self._wakeup_s = wakeup_s
            self.time.call_later(wakeup_s - self.time.now_s(), lambda: self._wake_up(wakeup_s))

    def _wake_up(self, wakeup_s):
        if wakeup_s == self._wakeup_s:
            self._wakeup_s = None
            self.handle(TimePassed())

    def _reported(self, name, event):
        if self._reports_late:
            self.time.call_later(0.0, lambda: self._note(name, event))
        else:
            self._note(name, event)

    def _note(self, name, event):
        if not self.workers[name].is_dead:
            self.handle(Reported(name, event))
