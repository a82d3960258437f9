"""What holds for the controller whatever happens, in whatever order."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from safelight.control.order import place_of

from control.makers import LARGE, SMALL, finished, ready, request, spec
from safelight.control.commands import Assign, Deliver, Dismissed, Foretell, GiveUp, Recall, Reject
from safelight.control.events import (
    Arrived,
    DrainBegan,
    Reported,
    TimePassed,
    Withdrawn,
    WorkerJoined,
    WorkerLeft,
)
from safelight.control.fleet import ControlConfig, FleetController
from safelight.core.adapter import AdapterUse
from safelight.core.work import Dropped, Failed, Started, Stepped, Ticked

NOWHERE = "shapes-nowhere"
CONFIG = ControlConfig(max_waiting=6, max_attempts=3, lookahead_rows=2, orphan_wait_s=40.0)
LORAS = [AdapterUse(name=name, scale=1.0) for name in ("mask@1", "outline@1", "pastel@2")]
FIELDS = st.fixed_dictionaries(
    {
        "model": st.sampled_from([LARGE, LARGE, LARGE, SMALL, SMALL, NOWHERE]),
        "side": st.sampled_from([64, 64, 128]),
        "steps": st.integers(1, 5),
        "is_guided": st.booleans(),
        "deadline_s": st.sampled_from([None, None, 100.0, 2.0, 0.3, 0.01]),
        "loras": st.lists(st.sampled_from(LORAS), max_size=2).map(tuple),
    }
)
CROWDS = st.lists(FIELDS, min_size=1, max_size=6)
LUCK = st.randoms(use_true_random=False)


class FakeWorker:
    """Keeps what it was sent; the test says what comes of it."""

    def __init__(self, welcome):
        self.models = {model.name for model in welcome.models}
        self.capacity = welcome.max_denoiser_rows + CONFIG.lookahead_rows
        self.jobs = {}
        self.recalled = set()
        self.foretold = ()

    @property
    def rows(self):
        return sum(job.request.denoiser_rows for job in self.jobs.values())


class FleetUnderFire(RuleBasedStateMachine):
    """Clients come and go, workers join and die, words arrive late or never."""

    def __init__(self):
        super().__init__()
        self.controller = FleetController(CONFIG)
        self.now = 0.0
        self.history = []
        self.workers = {}
        self.buried = []
        self.requests = {}
        self.ends = Counter()
        self.attempts = Counter()
        self.names = 0
        self.is_draining = False

    def tell(self, event):
        commands = self.controller.handle(event, self.now)
        self.history.append((event, self.now, repr(commands)))
        for command in commands:
            self.obey(command)

    def obey(self, command):
        match command:
            case Assign(worker, job):
                self.attempts[job.request.id] += 1
                fake = self.workers[worker]
                assert job.request.model in fake.models
                assert job.attempt == self.attempts[job.request.id] <= CONFIG.max_attempts
                assert job.attempt < CONFIG.max_attempts or not fake.jobs, "the last attempt is alone"
                fake.jobs[job.request.id] = job
                assert fake.rows <= fake.capacity
            case Recall(worker, request_id):
                assert request_id in self.workers[worker].jobs
                self.workers[worker].recalled.add(request_id)
            case Foretell(worker, adapters):
                assert adapters != self.workers[worker].foretold, "that is no news"
                self.workers[worker].foretold = adapters
            case Reject(ended, _, outcome):
                self.end("rejected", ended, outcome)
            case Deliver(ended, _, outcome):
                self.end("finished", ended, outcome)
            case GiveUp(ended, _, outcome):
                self.end("failed", ended, outcome)
            case Dismissed(ended, outcome):
                self.end("cancelled", ended, outcome)

    def end(self, status, ended, outcome):
        assert outcome.request == ended == self.requests[ended.id]
        assert outcome.status == status
        assert 0 <= outcome.queue_s <= outcome.total_s == self.now - ended.arrived_s
        assigned = self.attempts[ended.id]
        assert outcome.retries in {max(0, assigned - 1), assigned}
        self.ends[ended.id] += 1

    def some_job(self, data, *, only_recalled=False):
        held = [
            (worker, name)
            for worker, fake in self.workers.items()
            for name in (sorted(fake.recalled) if only_recalled else fake.jobs)
        ]
        return data.draw(st.sampled_from(held))

    @property
    def is_busy(self):
        return any(fake.jobs for fake in self.workers.values())

    @property
    def is_recalling(self):
        return any(fake.recalled for fake in self.workers.values())

    def close(self, worker, name):
        self.workers[worker].jobs.pop(name)
        self.workers[worker].recalled.discard(name)

    @rule(crowd=CROWDS)
    def requests_arrive(self, crowd):
        for fields in crowd:
            self.names += 1
            arriving = request(f"r{self.names}", arrived_s=self.now, **fields)
            self.requests[arriving.id] = arriving
            self.tell(Arrived(arriving))

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def a_client_leaves(self, data):
        known = sorted(self.requests, key=lambda name: (name in self.ends, name))
        self.tell(Withdrawn(data.draw(st.sampled_from(known))))

    @initialize()
    def a_first_worker_joins(self):
        self.a_worker_joins(names=(LARGE, SMALL), rows=4)

    @precondition(lambda self: len(self.workers) < 3)
    @rule(names=st.sampled_from([(LARGE, SMALL), (LARGE,), (SMALL,)]), rows=st.integers(1, 4))
    def a_worker_joins(self, names, rows):
        self.names += 1
        welcome = ready(*(spec(name, decode_s=0.01) for name in names), max_denoiser_rows=rows)
        self.workers[f"w{self.names}"] = FakeWorker(welcome)
        self.tell(WorkerJoined(f"w{self.names}", welcome))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def a_worker_dies(self, data):
        worker = data.draw(st.sampled_from(sorted(self.workers)))
        self.buried.append((worker, self.workers.pop(worker)))
        self.tell(WorkerLeft(worker, "killed by signal 9"))

    @precondition(lambda self: self.is_busy)
    @rule(data=st.data())
    def a_row_makes_a_step(self, data):
        worker, name = self.some_job(data)
        steps = self.requests[name].steps
        self.tell(Reported(worker, Started(request_id=name)))
        self.tell(Reported(worker, Ticked(model=self.requests[name].model, denoiser_rows=1, seconds=0.05)))
        self.tell(Reported(worker, Stepped(request_id=name, step=data.draw(st.integers(1, steps)), steps=steps)))

    @precondition(lambda self: self.is_busy)
    @rule(data=st.data())
    def a_client_loses_patience_with_a_running_picture(self, data):
        _, name = self.some_job(data)
        self.tell(Withdrawn(name))

    @precondition(lambda self: self.is_busy)
    @rule(data=st.data(), count=st.integers(1, 4))
    def pictures_are_ready(self, data, count):
        for _ in range(count):
            if self.is_busy:
                worker, name = self.some_job(data)
                self.close(worker, name)
                self.tell(Reported(worker, finished(name)))

    @precondition(lambda self: self.is_busy)
    @rule(data=st.data())
    def a_picture_fails(self, data):
        worker, name = self.some_job(data)
        self.close(worker, name)
        self.tell(Reported(worker, Failed(request_id=name, message="The numbers are no longer finite.")))

    @precondition(lambda self: self.is_recalling)
    @rule(data=st.data())
    def a_recalled_row_is_dropped(self, data):
        worker, name = self.some_job(data, only_recalled=True)
        self.close(worker, name)
        self.tell(Reported(worker, Dropped(request_id=name)))

    @precondition(lambda self: any(fake.jobs for _, fake in self.buried))
    @rule(data=st.data())
    def a_dead_worker_is_heard_late(self, data):
        said = [(worker, name) for worker, fake in self.buried for name in fake.jobs]
        worker, name = data.draw(st.sampled_from(said))
        before = len(self.ends)
        self.tell(Reported(worker, data.draw(st.sampled_from([finished(name), Dropped(request_id=name)]))))
        assert len(self.ends) == before

    @rule(seconds=st.sampled_from([0.05, 0.0, 1.0, 15.0]))
    def time_passes(self, seconds):
        self.now += seconds
        self.tell(TimePassed())

    @precondition(lambda self: len(self.history) > 80)
    @rule()
    def the_drain_begins(self):
        self.is_draining = True
        self.tell(DrainBegan())

    @invariant()
    def every_request_is_in_exactly_one_state(self):
        waiting = [each.id for each in self.controller.waiting]
        running = [each.request.id for each in self.controller.running]
        assert Counter(waiting) + Counter(running) + self.ends == Counter(self.requests.keys())

    @invariant()
    def the_controller_and_the_workers_agree(self):
        believed = {(each.worker, each.request.id, each.is_withdrawn) for each in self.controller.running}
        true = {(worker, name, name in fake.recalled) for worker, fake in self.workers.items() for name in fake.jobs}
        assert believed == true

    @invariant()
    def no_worker_has_more_than_its_room(self):
        assert all(load.denoiser_rows <= self.workers[load.worker].capacity for load in self.controller.workers)

    @invariant()
    def those_who_wait_stand_in_order(self):
        numbered = [place_of(each, int(each.id[1:])) for each in self.controller.waiting]
        assert numbered == sorted(numbered)

    @invariant()
    def nobody_waits_while_a_worker_of_its_model_is_idle(self):
        idle = {model for fake in self.workers.values() if not fake.jobs for model in fake.models}
        assert not [each.id for each in self.controller.waiting if each.model in idle]

    @invariant()
    def each_worker_knows_which_adapters_it_may_need_next(self):
        for fake in self.workers.values():
            likely = [each for each in self.controller.waiting if each.model in fake.models]
            assert fake.foretold == tuple(dict.fromkeys(name for each in likely for name in each.adapters))

    @invariant()
    def the_queue_is_bounded_but_for_retries(self):
        first_time = [each for each in self.controller.waiting if not self.attempts[each.id]]
        assert len(first_time) <= CONFIG.max_waiting

    @invariant()
    def every_picture_that_can_be_made_is_expected_later_than_now(self):
        expected = self.controller.expected(self.now)
        served = [each.id for each in self.controller.waiting if self.controller.is_served(each.model)]
        running = [each.request.id for each in self.controller.running if not each.is_withdrawn]
        assert set(expected) == {*served, *running}
        assert all(self.now <= seen.start_s <= seen.finish_s for seen in expected.values())

    @invariant()
    def the_fleet_is_drained_when_nothing_is_left(self):
        assert self.controller.is_drained == (self.is_draining and len(self.ends) == len(self.requests))

    def teardown(self):
        self.finish_everything()
        assert self.controller.is_drained
        assert set(self.ends.values()) <= {1}
        again = FleetController(CONFIG)
        assert [repr(again.handle(event, now)) for event, now, _ in self.history] == [said for *_, said in self.history]

    def finish_everything(self):
        """Let an honest worker do what is left: a drain ends."""
        self.the_drain_begins()
        self.workers["honest"] = FakeWorker(ready(max_denoiser_rows=4))
        self.tell(WorkerJoined("honest", ready(max_denoiser_rows=4)))
        while self.is_busy:
            worker, name = next((worker, name) for worker, fake in self.workers.items() for name in fake.jobs)
            self.close(worker, name)
            self.tell(Reported(worker, finished(name)))
        self.now += CONFIG.orphan_wait_s + 1
        self.tell(TimePassed())


TestFleetUnderFire = FleetUnderFire.TestCase
TestFleetUnderFire.settings = settings(max_examples=100, stateful_step_count=50)


class Crowd:
    """Workers that die of poisoned requests, each with a successor."""

    def __init__(self, *, workers, poisons, luck):
        self.controller = FleetController(CONFIG)
        self.poisons = poisons
        self.luck = luck
        self.jobs = {}
        self.ends = {}
        self.deaths = 0
        for _ in range(workers):
            self.join()

    def tell(self, event):
        for command in self.controller.handle(event, 0.0):
            match command:
                case Assign(worker, job):
                    self.jobs[worker].append(job.request.id)
                case Deliver(ended):
                    self.ends[ended.id] = "delivered"
                case GiveUp(ended, error):
                    self.ends[ended.id] = error.reason

    def join(self):
        worker = f"w{len(self.jobs) + self.deaths}"
        self.jobs[worker] = []
        self.tell(WorkerJoined(worker, ready(max_denoiser_rows=6)))

    def run(self):
        while busy := [worker for worker, names in self.jobs.items() if names]:
            worker = self.luck.choice(busy)
            name = self.luck.choice(self.jobs[worker])
            if name in self.poisons:
                del self.jobs[worker]
                self.deaths += 1
                self.tell(WorkerLeft(worker, "killed by signal 9"))
                self.join()
            else:
                self.jobs[worker].remove(name)
                self.tell(Reported(worker, finished(name)))


@given(st.integers(1, 3), st.sets(st.integers(0, 5), max_size=3), LUCK)
def test_a_request_that_kills_its_workers_costs_no_other_request_its_picture(workers, poisons, luck):
    names = [f"r{number}" for number in range(6)]
    poisoned = {names[number] for number in poisons}
    crowd = Crowd(workers=workers, poisons=poisoned, luck=luck)
    for name in names:
        crowd.tell(Arrived(request(name)))
    crowd.run()
    assert crowd.ends == {name: "worker_lost" if name in poisoned else "delivered" for name in names}


@given(st.integers(1, 3), LUCK)
def test_a_request_kills_at_most_as_many_workers_as_it_has_attempts(workers, luck):
    crowd = Crowd(workers=workers, poisons={"poison"}, luck=luck)
    for name in ("a", "poison", "b", "c"):
        crowd.tell(Arrived(request(name)))
    crowd.run()
    assert crowd.deaths == CONFIG.max_attempts
