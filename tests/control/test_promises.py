"""The whole machine at once: the fleet's controller over replica schedulers, on a clock of the test's own."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safelight.profiles.model import ModelProfile

from control.makers import LARGE, SMALL, crowds, finished, ready, request, spec
from safelight.control.commands import Assign, Deliver, Reject
from safelight.control.events import Arrived, Reported, WorkerJoined
from safelight.control.fleet import ControlConfig, FleetController
from safelight.control.replica import ReplicaScheduler
from safelight.core.work import Started, Stepped, Ticked

TICKS_S = (0.02, 0.0201379, 0.0203113)
"""Workers of unlike speeds, so that no two ever end a tick at the same moment."""

STEPS = st.integers(1, 6)
MODELS = st.sampled_from([LARGE, SMALL])
MIXED = st.fixed_dictionaries({"model": MODELS, "steps": STEPS, "is_guided": st.booleans()})
NARROW = st.fixed_dictionaries({"model": MODELS, "steps": STEPS})


class PunctualWorker:
    """Takes exactly as long as was measured."""

    def __init__(self, name, welcome):
        self.name = name
        self.speeds = {model.name: ModelProfile.from_spec(model) for model in welcome.models}
        self.scheduler = ReplicaScheduler(self.speeds, max_denoiser_rows=welcome.max_denoiser_rows)
        self.steps = {}
        self.requests = {}

    def hold(self, job):
        self.requests[job.request.id] = job.request
        self.steps[job.request.id] = 0
        self.scheduler.hold(job)

    def run(self, now):
        """Run one tick; returns when it ends and what there is to say then, what is said at once, or None."""
        tick = self.scheduler.next_tick(now)
        if tick is None:
            return None
        rows = sum(self.requests[name].denoiser_rows for name in tick.request_ids)
        seconds = self.speeds[tick.model].tick_s(rows, width=tick.width, height=tick.height)
        begun = [Started(request_id=name) for name in tick.request_ids if not self.steps[name]]
        words = [Ticked(model=tick.model, denoiser_rows=rows, seconds=seconds)]
        for name in tick.request_ids:
            self.steps[name] += 1
            words.append(Stepped(request_id=name, step=self.steps[name], steps=self.requests[name].steps))
        words += [finished(name) for name in self.scheduler.tick_done(tick, seconds)]
        return now + seconds, words, begun


class World:
    """Some workers and the controller over them."""

    def __init__(self, *, workers, most):
        self.controller = FleetController(ControlConfig(lookahead_rows=2))
        self.now = 0.0
        self.ready_s = {}
        self.rejected = set()
        self.moments = []
        self.workers = {}
        for number, tick_s in enumerate(TICKS_S[:workers]):
            welcome = ready(spec(LARGE, tick_s=tick_s), spec(SMALL, tick_s=tick_s), max_denoiser_rows=most)
            self.workers[f"w{number}"] = PunctualWorker(f"w{number}", welcome)
            self.tell(WorkerJoined(f"w{number}", welcome))

    def tell(self, event):
        for command in self.controller.handle(event, self.now):
            match command:
                case Assign(worker, job):
                    self.workers[worker].hold(job)
                case Deliver(ended):
                    self.ready_s[ended.id] = self.now
                case Reject(refused):
                    self.rejected.add(refused.id)

    def start(self, worker):
        ran = self.workers[worker].run(self.now)
        if ran is None:
            return
        later, words, begun = ran
        for word in begun:
            self.tell(Reported(worker, word))
        heapq.heappush(self.moments, (later, worker, words))

    def run(self):
        for worker in self.workers:
            self.start(worker)
        while self.moments:
            self.now, worker, words = heapq.heappop(self.moments)
            for word in words:
                self.tell(Reported(worker, word))
            self.start(worker)


def expected_and_true(requests, *, workers, most):
    world = World(workers=workers, most=most)
    for each in requests:
        world.tell(Arrived(each))
    expected = {name: seen.finish_s for name, seen in world.controller.expected(0.0).items()}
    world.run()
    return expected, world.ready_s


@given(crowds(max_size=16, fields=MIXED), st.integers(2, 6))
def test_one_worker_does_what_is_expected_if_nothing_else_arrives(requests, most):
    expected, true = expected_and_true(requests, workers=1, most=most)
    assert true == pytest.approx(expected)


@given(crowds(max_size=16, fields=NARROW), st.integers(2, 3), st.integers(2, 6))
def test_several_workers_do_what_is_expected_of_requests_of_one_width(requests, workers, most):
    expected, true = expected_and_true(requests, workers=workers, most=most)
    assert true == pytest.approx(expected)


@given(crowds(max_size=16), st.integers(1, 3), st.integers(2, 6))
def test_every_request_that_is_taken_gets_its_picture(requests, workers, most):
    world = World(workers=workers, most=most)
    for each in requests:
        world.tell(Arrived(each))
    world.run()
    assert set(world.ready_s) == {each.id for each in requests} - world.rejected


@given(st.integers(1, 20), st.floats(0.1, 2.0), st.integers(1, 3))
def test_equal_requests_with_equal_deadlines_that_are_taken_are_in_time(count, deadline_s, workers):
    world = World(workers=workers, most=4)
    for number in range(count):
        world.tell(Arrived(request(f"r{number}", deadline_s=deadline_s)))
    world.run()
    assert all(ready_s <= deadline_s + 1e-9 for ready_s in world.ready_s.values())
