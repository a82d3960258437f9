"""What holds for the controller whatever happens, in whatever order."""

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from control.cascade import THRESHOLD, Cascade
from control.driven_fleet import assigned
from control.makers import LARGE, SMALL, adapter, finished, ready, request, spec, ticked, use
from safelight.control.commands import Deliver, Dismissed, GiveUp, Reject, Send
from safelight.control.config import ControlConfig
from safelight.control.events import (
    AdapterOffered,
    AdapterRemoved,
    Arrived,
    DrainBegan,
    Reported,
    TimePassed,
    Withdrawn,
    WorkerJoined,
    WorkerLeft,
)
from safelight.control.fleet import FleetController
from safelight.control.order.late import late_place
from safelight.control.policies import Policies
from safelight.core.errors import RequestError
from safelight.core.job import PausedRow
from safelight.core.work import (
    AdapterAdded,
    AddAdapter,
    Cancel,
    Dropped,
    Failed,
    Pause,
    Paused,
    Place,
    Prefetch,
    RemoveAdapter,
    Run,
    Started,
)

NOWHERE = "shapes-nowhere"
CONFIG = ControlConfig(
    max_waiting=6, max_attempts=3, lookahead_rows=2, orphan_wait_s=40.0, policies=Policies(level=Cascade())
)
ADAPTERS = {"mask": LARGE, "outline": LARGE, "pastel": SMALL}
LORAS = [use(name) for name in ADAPTERS]
FIELDS = st.fixed_dictionaries(
    {
        "model": st.sampled_from([LARGE, LARGE, LARGE, SMALL, SMALL, None, None, NOWHERE]),
        "side": st.sampled_from([64, 64, 128]),
        "steps": st.integers(1, 5),
        "is_guided": st.booleans(),
        "deadline_s": st.sampled_from([None, None, 100.0, 2.0, 0.3, 0.01]),
        "loras": st.lists(st.sampled_from(LORAS), max_size=2).map(tuple),
        "on_deadline": st.sampled_from(["finish", "finish", "expire"]),
    }
)
GROUPS = st.lists(st.lists(FIELDS, min_size=1, max_size=4), min_size=1, max_size=4)
SCORES = st.sampled_from([None, THRESHOLD - 0.1, THRESHOLD])
LUCK = st.randoms(use_true_random=False)


class FakeWorker:
    """Keeps what it was sent; the test says what comes of it."""

    def __init__(self, welcome):
        self.models = {model.name for model in welcome.models}
        self.capacity = welcome.max_denoiser_rows + CONFIG.lookahead_rows
        self.jobs = {}
        self.cancelled = set()
        self.pausing = set()
        self.prefetched = ()
        self.adapters = set()

    @property
    def rows(self):
        return sum(job.level.denoiser_rows for name, job in self.jobs.items() if name not in self.pausing)


class FleetUnderFire(RuleBasedStateMachine):
    """Clients come and go, workers join and die, events arrive late or never."""

    def __init__(self):
        super().__init__()
        self.controller = FleetController(CONFIG)
        self.now = 0.0
        self.history = []
        self.workers = {}
        self.buried = []
        self.requests = {}
        self.bound = {}
        self.ends = Counter()
        self.stages = {}
        self.attempts = Counter()
        self.names = 0
        self.is_draining = False
        self.is_replayable = True

    def handle(self, event):
        commands = self.controller.handle(event, self.now)
        self.history.append((event, self.now, repr(commands)))
        for command in commands:
            self.obey(command)
        return commands

    def obey(self, command):
        match command:
            case Send(worker, sent):
                self.send(self.workers[worker], sent)
            case Reject(ended, error, None):
                assert isinstance(error, RequestError) or ended.model == NOWHERE
                self.ends[ended.id] += 1
            case Reject(ended, _, outcome):
                self.end("rejected", ended, outcome)
            case Deliver(ended, _, outcome):
                self.end("finished", ended, outcome)
            case GiveUp(ended, _, outcome):
                self.end("expired" if outcome.reason == "deadline_expired" else "failed", ended, outcome)
            case Dismissed(ended, outcome):
                self.end("cancelled", ended, outcome)

    def send(self, fake, sent):
        match sent:
            case Run(job=job):
                self.run(fake, job)
            case Cancel(request_id=request_id):
                has_just_ended = self.requests[request_id].on_deadline == "expire"
                assert request_id in fake.jobs or has_just_ended
                if request_id in fake.jobs:
                    fake.cancelled.add(request_id)
            case Pause(request_id=request_id):
                assert request_id in fake.jobs, "no other request pauses"
                fake.pausing.add(request_id)
            case Prefetch(handles=handles):
                assert handles != fake.prefetched, "that is no change"
                fake.prefetched = handles
            case Place(handles=handles):
                assert set(handles) <= fake.adapters
            case AddAdapter(handle=handle):
                assert handle not in fake.adapters
                fake.adapters.add(handle)
            case RemoveAdapter(handle=handle):
                fake.adapters.remove(handle)
                assert all(handle not in job.adapters for job in fake.jobs.values())

    def run(self, fake, job):
        self.attempts[job.id, job.stage] += 1
        assert job.level.model in fake.models
        assert job.stage == self.stages[job.id]
        assert job.attempt == self.attempts[job.id, job.stage] <= CONFIG.max_attempts
        assert job.attempt < CONFIG.max_attempts or not fake.jobs, "the last attempt is alone"
        assert set(job.adapters) == self.bound[job.id] <= fake.adapters
        fake.jobs[job.id] = job
        assert fake.rows <= fake.capacity

    def end(self, status, ended, outcome):
        assert outcome.request == ended == self.requests[ended.id]
        assert outcome.status == status
        assert 0 <= outcome.queue_s <= outcome.total_s == self.now - ended.arrived_s
        for number, stage in enumerate(outcome.stages):
            assigned = self.attempts[ended.id, number]
            assert stage.retries in {max(0, assigned - 1), assigned}
            assert stage.level == outcome.route.levels[number]
        self.ends[ended.id] += 1

    def some_job(self, data, *, only_cancelled=False):
        held = [
            (worker, name)
            for worker, fake in self.workers.items()
            for name in (sorted(fake.cancelled) if only_cancelled else fake.jobs)
        ]
        return data.draw(st.sampled_from(held))

    @property
    def is_busy(self):
        return any(fake.jobs for fake in self.workers.values())

    @property
    def is_cancelling(self):
        return any(fake.cancelled for fake in self.workers.values())

    def close(self, worker, name):
        self.workers[worker].cancelled.discard(name)
        self.workers[worker].pausing.discard(name)
        return self.workers[worker].jobs.pop(name)

    def finish(self, worker, name, score):
        """The picture of one stage is ready."""
        job = self.close(worker, name)
        is_last = job.level.model == LARGE or self.requests[name].model is not None
        if not is_last and not (score is not None and score >= THRESHOLD):
            self.stages[name] += 1
        self.handle(Reported(worker, finished(name, score=score)))

    @rule(groups=GROUPS)
    def requests_arrive(self, groups):
        for group in groups:
            known = {adapter.spec.name: adapter.handle for adapter in self.controller.adapters}
            arriving = []
            for fields in group:
                self.names += 1
                arriving.append(request(f"r{self.names}", arrived_s=self.now, **fields))
                self.requests[arriving[-1].id] = arriving[-1]
                self.stages[arriving[-1].id] = 0
                self.bound[arriving[-1].id] = {known[name] for name in arriving[-1].adapters if name in known}
            commands = self.handle(Arrived(tuple(arriving)))
            refused = {each.request.id for each in commands if isinstance(each, Reject)}
            assert refused in (set(), {each.id for each in arriving}), "all or none"
            assert not refused & {name for name, *_ in assigned(commands)}, "no worker gets what is refused"

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def a_client_leaves(self, data):
        known = sorted(self.requests, key=lambda name: (name in self.ends, name))
        self.handle(Withdrawn(data.draw(st.sampled_from(known))))

    @initialize()
    def a_first_worker_joins(self):
        self.a_worker_joins(names=(LARGE, SMALL), rows=4)
        for name in ADAPTERS:
            self.an_adapter_comes_or_goes(name)

    @precondition(lambda self: len(self.workers) < 3)
    @rule(names=st.sampled_from([(LARGE, SMALL), (LARGE,), (SMALL,)]), rows=st.integers(1, 4))
    def a_worker_joins(self, names, rows):
        self.names += 1
        welcome = ready(*(spec(name, decode_s=0.01) for name in names), max_denoiser_rows=rows)
        self.workers[f"w{self.names}"] = FakeWorker(welcome)
        self.handle(WorkerJoined(f"w{self.names}", welcome))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def a_worker_dies(self, data):
        worker = data.draw(st.sampled_from(sorted(self.workers)))
        self.buried.append((worker, self.workers.pop(worker)))
        self.handle(WorkerLeft(worker, "killed by signal 9"))

    @precondition(lambda self: self.workers)
    @rule(name=st.sampled_from(sorted(ADAPTERS)))
    def an_adapter_comes_or_goes(self, name):
        if any(adapter.spec.name == name for adapter in self.controller.adapters):
            self.handle(AdapterRemoved("offer", name))
            return
        self.handle(AdapterOffered("offer", name, f"/adapters/{name}"))
        handle = max(handle for fake in self.workers.values() for handle in fake.adapters if handle.name == name)
        for worker in self.workers:
            self.handle(Reported(worker, AdapterAdded(handle=handle, spec=adapter(name, model=ADAPTERS[name]))))

    @precondition(lambda self: self.is_busy)
    @rule(data=st.data(), ticks=st.integers(1, 3))
    def a_row_makes_steps(self, data, ticks):
        worker, name = self.some_job(data)
        self.handle(Reported(worker, Started(request_id=name)))
        model = self.workers[worker].jobs[name].level.model
        for _ in range(ticks):
            self.handle(Reported(worker, ticked(name, model=model, seconds=0.05)))

    @precondition(lambda self: self.is_busy)
    @rule(data=st.data())
    def a_client_withdraws_a_running_picture(self, data):
        _, name = self.some_job(data)
        self.handle(Withdrawn(name))

    @precondition(lambda self: self.is_busy)
    @rule(data=st.data(), count=st.integers(1, 4))
    def pictures_are_ready(self, data, count):
        for _ in range(count):
            if self.is_busy:
                worker, name = self.some_job(data)
                self.finish(worker, name, data.draw(SCORES))

    @precondition(lambda self: self.is_busy)
    @rule(data=st.data())
    def a_picture_fails(self, data):
        worker, name = self.some_job(data)
        self.close(worker, name)
        self.handle(Reported(worker, Failed(request_id=name, message="The numbers are no longer finite.")))

    @precondition(lambda self: self.is_cancelling)
    @rule(data=st.data())
    def a_cancelled_row_is_dropped(self, data):
        worker, name = self.some_job(data, only_cancelled=True)
        self.close(worker, name)
        self.handle(Reported(worker, Dropped(request_id=name)))

    @precondition(lambda self: self.is_busy)
    @rule(data=st.data())
    def a_request_is_asked_to_move(self, data):
        _, name = self.some_job(data)
        state = self.controller._fleet.requests[name]
        wanted = data.draw(st.sampled_from([None, *sorted(self.workers)]))
        if not state.is_suspect:
            for command in self.controller._fleet.pause(state, next_worker=wanted):
                self.obey(command)
            self.is_replayable = False

    @precondition(lambda self: any(fake.pausing for fake in self.workers.values()))
    @rule(data=st.data(), steps_run=st.integers(0, 3))
    def a_row_is_paused(self, data, steps_run):
        worker, name = data.draw(
            st.sampled_from([(worker, name) for worker, fake in self.workers.items() for name in sorted(fake.pausing)])
        )
        job = self.close(worker, name)
        self.attempts[name, job.stage] -= 1
        run_before = min(steps_run, job.level.steps_to_run - 1)
        row = PausedRow(steps_run=run_before, file=b"latents") if run_before else None
        self.handle(Reported(worker, Paused(request_id=name, row=row)))

    @precondition(lambda self: any(fake.jobs for _, fake in self.buried))
    @rule(data=st.data())
    def an_event_of_a_dead_worker_comes_late(self, data):
        late = [(worker, name) for worker, fake in self.buried for name in fake.jobs]
        worker, name = data.draw(st.sampled_from(late))
        before = len(self.ends)
        self.handle(Reported(worker, data.draw(st.sampled_from([finished(name), Dropped(request_id=name)]))))
        assert len(self.ends) == before

    @rule(seconds=st.sampled_from([0.05, 0.0, 1.0, 15.0]))
    def time_passes(self, seconds):
        self.now += seconds
        self.handle(TimePassed())

    @precondition(lambda self: len(self.history) > 80)
    @rule()
    def the_drain_begins(self):
        self.is_draining = True
        self.handle(DrainBegan())

    @invariant()
    def every_request_is_in_exactly_one_state(self):
        waiting = [each.request.id for each in self.controller.waiting]
        running = [each.request.id for each in self.controller.running]
        assert Counter(waiting) + Counter(running) + self.ends == Counter(self.requests.keys())
        assert (len(waiting), len(running)) == (self.controller.waiting_count, self.controller.running_count)

    @invariant()
    def the_controller_and_the_workers_agree(self):
        believed = {(each.worker, each.request.id, each.is_withdrawn) for each in self.controller.running}
        held = {(worker, name, name in fake.cancelled) for worker, fake in self.workers.items() for name in fake.jobs}
        expired = {(worker, name, is_cancelled) for worker, name, is_cancelled in held if name in self.ends}
        assert believed == held - expired
        assert all(is_cancelled for _, _, is_cancelled in expired)

    @invariant()
    def every_worker_has_the_adapters_that_requests_may_name_and_those_in_use(self):
        held = {name for fake in self.workers.values() for name in fake.jobs}
        live = [handles for name, handles in self.bound.items() if name not in self.ends or name in held]
        in_use = Counter(handle for handles in live for handle in handles)
        registered = {adapter.handle for adapter in self.controller.adapters}
        assert all(fake.adapters == registered | in_use.keys() for fake in self.workers.values())
        assert all(self.controller.requests_with(handle) == in_use[handle] for handle in registered | in_use.keys())

    @invariant()
    def no_worker_has_more_than_its_room(self):
        assert all(load.denoiser_rows <= self.workers[load.worker].capacity for load in self.controller.workers)

    @invariant()
    def those_who_wait_stand_in_order(self):
        order, waiting = CONFIG.policies.order, list(self.controller._fleet.waiting)
        assert [each.id for each in waiting] == [each.request.id for each in self.controller.waiting]
        assert all(one.place < other.place for one, other in pairwise(waiting))
        for each in waiting:
            is_late = each.request.deadline_s is not None and each.is_late
            place = late_place if is_late else type(order).place
            assert each.place == place(order, each.request, each.sequence)

    @invariant()
    def who_cannot_be_in_time_waits_behind_all_that_had_arrived_when_it_was_due(self):
        waiting = list(self.controller._fleet.waiting)
        for number, late in enumerate(waiting):
            behind = [each for each in waiting[number:] if not each.is_late]
            assert not late.is_late or all(each.request.arrived_s >= late.request.due_s for each in behind)

    @invariant()
    def nobody_waits_beyond_a_deadline_that_ends_the_request(self):
        live = [*self.controller.waiting, *self.controller.running]
        expiring = [each.request for each in live if each.request.on_deadline == "expire" and not each.is_withdrawn]
        assert all(each.due_s >= self.now for each in expiring)

    @invariant()
    def nobody_waits_while_a_worker_of_its_model_is_idle(self):
        idle = {model for fake in self.workers.values() if not fake.jobs for model in fake.models}
        assert not [each.request.id for each in self.controller.waiting if each.level.model in idle]

    @invariant()
    def each_worker_reads_ahead_the_adapters_that_it_may_need_next(self):
        for fake in self.workers.values():
            likely = [each for each in self.controller.waiting if each.level.model in fake.models]
            wanted = (sorted(self.bound[each.request.id]) for each in likely)
            assert fake.prefetched == tuple(dict.fromkeys(handle for handles in wanted for handle in handles))

    @invariant()
    def the_queue_is_bounded_but_for_retries_and_later_stages(self):
        first_time = [each for each in self.controller.waiting if not self.attempts[each.request.id, 0]]
        assert len(first_time) <= CONFIG.max_waiting

    @invariant()
    def every_picture_that_can_be_made_is_expected_later_than_now(self):
        expected = self.controller.expected(self.now)
        waiting = self.controller.waiting
        served = [each.request.id for each in waiting if self.controller.is_served(each.level.model)]
        running = [each.request.id for each in self.controller.running if not each.is_withdrawn]
        assert set(expected) == {*served, *running}
        assert all(self.now <= seen.start_s <= seen.finish_s for seen in expected.values())

    @invariant()
    def the_fleet_is_idle_when_nothing_is_left(self):
        assert self.controller.is_idle == (len(self.ends) == len(self.requests))

    def teardown(self):
        self.finish_everything()
        assert self.controller.is_idle
        assert set(self.ends.values()) <= {1}
        if not self.is_replayable:
            return
        again = FleetController(CONFIG)
        assert [repr(again.handle(event, now)) for event, now, _ in self.history] == [said for *_, said in self.history]

    def finish_everything(self):
        """Let an honest worker do what is left: a drain ends."""
        self.the_drain_begins()
        self.workers["honest"] = FakeWorker(ready(max_denoiser_rows=4))
        self.handle(WorkerJoined("honest", ready(max_denoiser_rows=4)))
        while self.is_busy:
            worker, name = next((worker, name) for worker, fake in self.workers.items() for name in fake.jobs)
            self.finish(worker, name, THRESHOLD)
        self.now += CONFIG.orphan_wait_s + 1
        self.handle(TimePassed())


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

    def handle(self, event):
        for command in self.controller.handle(event, 0.0):
            match command:
                case Send(worker, Run(job=job)):
                    self.jobs[worker].append(job.id)
                case Deliver(ended):
                    self.ends[ended.id] = "delivered"
                case GiveUp(ended, error):
                    self.ends[ended.id] = error.reason

    def join(self):
        worker = f"w{len(self.jobs) + self.deaths}"
        self.jobs[worker] = []
        self.handle(WorkerJoined(worker, ready(max_denoiser_rows=6)))

    def run(self):
        while busy := [worker for worker, names in self.jobs.items() if names]:
            worker = self.luck.choice(busy)
            name = self.luck.choice(self.jobs[worker])
            if name in self.poisons:
                del self.jobs[worker]
                self.deaths += 1
                self.handle(WorkerLeft(worker, "killed by signal 9"))
                self.join()
            else:
                self.jobs[worker].remove(name)
                self.handle(Reported(worker, finished(name)))


@given(st.integers(1, 3), st.sets(st.integers(0, 5), max_size=3), LUCK)
def test_a_request_that_kills_its_workers_costs_no_other_request_its_picture(workers, poisons, luck):
    names = [f"r{number}" for number in range(6)]
    poisoned = {names[number] for number in poisons}
    crowd = Crowd(workers=workers, poisons=poisoned, luck=luck)
    for name in names:
        crowd.handle(Arrived((request(name),)))
    crowd.run()
    assert crowd.ends == {name: "worker_lost" if name in poisoned else "delivered" for name in names}


@given(st.integers(1, 3), LUCK)
def test_a_request_kills_at_most_as_many_workers_as_it_has_attempts(workers, luck):
    crowd = Crowd(workers=workers, poisons={"poison"}, luck=luck)
    for name in ("a", "poison", "b", "c"):
        crowd.handle(Arrived((request(name),)))
    crowd.run()
    assert crowd.deaths == CONFIG.max_attempts
