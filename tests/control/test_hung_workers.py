"""Workers that fall silent: no request is lost, doubled, or given to them."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from control.driven_fleet import DrivenFleet, assigned, ends
from control.makers import finished, ready, request
from safelight.control.commands import Deliver, Kill, Send, WorkerChanged
from safelight.control.config import ControlConfig
from safelight.control.events import Arrived, Reported, TimePassed, WorkerJoined, WorkerLeft
from safelight.control.fleet import FleetController
from safelight.control.liveness import LivenessLimits
from safelight.core.errors import NotReady
from safelight.core.work import Beat, Run

LIMITS = LivenessLimits()


class Silence(DrivenFleet):
    """A fleet whose workers have beaten, and may be silent from now on."""

    def __init__(self, *workers, **settings):
        super().__init__(*workers, **settings)
        for worker in workers:
            self.beat(worker)

    def beat(self, worker, busy_s=0.0):
        return self.report(Beat(busy_s=busy_s), worker=worker)

    def wait(self, seconds, *, beating=()):
        """Check whenever it is due; returns the commands."""
        end = self.now + seconds
        commands = []
        while (due_s := self.controller.next_wakeup_s) is not None and due_s <= end:
            self.now = due_s
            for worker in beating:
                self.beat(worker)
            commands += self.handle(TimePassed())
        self.now = end
        return commands


def changes(commands):
    return [(each.worker, each.is_suspected) for each in commands if isinstance(each, WorkerChanged)]


def kills(commands):
    return [each.worker for each in commands if isinstance(each, Kill)]


def test_a_suspected_worker_gets_no_new_work():
    fleet = Silence("a", "b")
    assert changes(fleet.wait(3, beating=["b"])) == [("a", True)]
    fleet.arrive("one")
    fleet.arrive("two")
    assert {each.worker for each in fleet.running.values()} == {"b"}
    assert fleet.waiting == ["two"]


def test_a_worker_that_responds_again_gets_what_waits():
    fleet = Silence("a")
    fleet.wait(3)
    fleet.arrive("one")
    assert fleet.waiting == ["one"]
    fleet.beat("a")
    commands = fleet.wait(1)
    assert changes(commands) == [("a", False)]
    assert [name for name, *_ in assigned(commands)] == ["one"]


def test_the_fleet_is_not_ready_while_no_worker_responds():
    fleet = Silence("a", "b")
    fleet.wait(3, beating=["b"])
    assert fleet.controller.refusal is None
    fleet.wait(3)
    assert isinstance(fleet.controller.refusal, NotReady)
    fleet.beat("a")
    fleet.wait(1, beating=["a"])
    assert fleet.controller.refusal is None


def test_no_forecast_counts_on_a_suspected_worker():
    fleet = Silence("a", "b")
    fleet.arrive("on a")
    fleet.arrive("on b")
    on = {each.worker: name for name, each in fleet.running.items()}
    fleet.wait(3, beating=["b"])
    assert set(fleet.controller.expected(fleet.now)) == {on["b"]}


def test_the_requests_of_a_killed_worker_run_again_and_it_is_killed_once():
    fleet = Silence("a")
    fleet.arrive("one")
    assert kills(fleet.wait(20)) == ["a"]
    assert ends(fleet.leave("a")) == []
    assert assigned(fleet.join("b")) == [("one", "b", 2)]


def test_what_a_condemned_worker_still_finishes_is_delivered_once():
    fleet = Silence("a")
    fleet.arrive("one")
    fleet.wait(20)
    assert [type(each) for each in ends(fleet.finish("one", worker="a"))] == [Deliver]
    fleet.leave("a")
    assert assigned(fleet.join("b")) == []


def test_a_worker_that_is_stuck_in_a_tick_is_suspected_while_it_beats():
    fleet = Silence("a")
    fleet.arrive("one")
    fleet.beat("a", busy_s=LIMITS.tick_s / 2)
    assert changes(fleet.wait(1)) == [("a", True)]


@pytest.mark.parametrize("count", [1, 3])
def test_a_server_that_wakes_from_a_long_sleep_condemns_nobody(count):
    names = [f"w{number}" for number in range(count)]
    fleet = Silence(*names)
    fleet.now += 3600
    commands = fleet.handle(TimePassed()) + fleet.wait(5, beating=names)
    assert (changes(commands), kills(commands)) == ([], [])


class StoppedWorkers(RuleBasedStateMachine):
    """Workers are stopped, go on, are killed and finish; requests come meanwhile."""

    def __init__(self):
        super().__init__()
        self.controller = FleetController(
            ControlConfig(max_waiting=100, max_attempts=100, lookahead_rows=1, orphan_wait_s=1e9)
        )
        self.now = 0.0
        self.jobs = {}
        self.stopped = set()
        self.once_stopped = set()
        self.unheard = {}
        self.asked = 0
        self.delivered = Counter()
        self.killed = []
        self.joins()

    def handle(self, event):
        for command in self.controller.handle(event, self.now):
            match command:
                case Send(worker, Run(job=job)):
                    assert not self.is_suspected(worker), "it gets no new work"
                    self.jobs[worker].append(job.id)
                case Deliver(ended):
                    self.delivered[ended.id] += 1
                case Kill(worker):
                    self.killed.append(worker)

    def is_suspected(self, worker):
        return next(load.is_suspected for load in self.controller.workers if load.worker == worker)

    def tell(self, worker, event):
        if worker in self.stopped:
            self.unheard.setdefault(worker, []).append(event)
        else:
            self.handle(Reported(worker, event))

    @precondition(lambda self: len(self.jobs) < 3)
    @rule()
    def joins(self):
        name = f"w{len(self.jobs) + len(self.killed) + int(self.now * 1000)}"
        if name not in self.jobs:
            self.jobs[name] = []
            self.handle(WorkerJoined(name, ready(max_denoiser_rows=2)))
            self.tell(name, Beat())

    @rule(count=st.integers(1, 3))
    def arrive(self, count):
        for _ in range(count):
            self.asked += 1
            self.handle(Arrived((request(f"r{self.asked}", arrived_s=self.now),)))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def stops_or_goes_on(self, data):
        worker = data.draw(st.sampled_from(sorted(self.jobs)))
        if worker in self.stopped:
            self.goes_on(worker)
        else:
            self.stopped.add(worker)
            self.once_stopped.add(worker)

    def goes_on(self, worker):
        self.stopped.discard(worker)
        for event in self.unheard.pop(worker, ()):
            self.tell(worker, event)

    @precondition(lambda self: any(self.jobs.values()))
    @rule(data=st.data())
    def finishes(self, data):
        worker = data.draw(st.sampled_from([worker for worker, names in self.jobs.items() if names]))
        if worker not in self.stopped:
            self.tell(worker, finished(self.jobs[worker].pop(0)))

    @rule(seconds=st.sampled_from([0.5, 2.0, 12.0]))
    def time_passes(self, seconds):
        end = self.now + seconds
        while (due_s := self.controller.next_wakeup_s) is not None and due_s <= end:
            self.now = max(self.now, due_s)
            for worker in list(self.jobs):
                self.tell(worker, Beat())
            self.handle(TimePassed())
        self.now = end

    @rule(seconds=st.sampled_from([5.0, 500.0]))
    def the_server_sleeps(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.killed)
    @rule()
    def the_killed_end(self):
        for worker in self.killed:
            del self.jobs[worker]
            self.stopped.discard(worker)
            self.unheard.pop(worker, None)
            self.handle(WorkerLeft(worker, "it hung"))
        self.killed.clear()

    @invariant()
    def nothing_is_delivered_twice(self):
        assert all(count == 1 for count in self.delivered.values())

    @invariant()
    def nothing_is_lost(self):
        held = {each.request.id for each in (*self.controller.waiting, *self.controller.running)}
        assert held | self.delivered.keys() == {f"r{number}" for number in range(1, self.asked + 1)}

    @invariant()
    def only_workers_that_were_stopped_are_killed(self):
        assert set(self.killed) <= self.once_stopped

    def teardown(self):
        for worker in sorted(self.stopped):
            self.goes_on(worker)
        self.the_killed_end()
        self.now += 1
        self.joins()
        for _ in range(20):
            self.time_passes(2.0)
            self.the_killed_end()
            for worker, names in self.jobs.items():
                while names:
                    self.tell(worker, finished(names.pop(0)))
        assert self.controller.is_idle


TestStoppedWorkers = StoppedWorkers.TestCase
TestStoppedWorkers.settings = settings(max_examples=60, stateful_step_count=30)


@given(silences=st.lists(st.floats(0.0, 15.0), min_size=1, max_size=6))
def test_a_worker_is_killed_only_after_a_silence_that_is_long_enough(silences):
    fleet = Silence("a")
    for silent_s in silences:
        commands = fleet.wait(silent_s)
        assert silent_s >= LIMITS.hung_s or not kills(commands)
        if kills(commands):
            return
        fleet.beat("a")
        fleet.wait(LIMITS.beat_s, beating=["a"])
