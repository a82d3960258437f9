"""The whole service over virtual workers: a clock of its own, no process, no waiting."""

import asyncio
import json
from functools import wraps
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.cascade import THRESHOLD, Cascade
from control.makers import LARGE, SMALL, adapter, finished, request, spec, use
from fakes.fake_pool import FakePool
from fakes.noting_log import NotingLog
from fakes.virtual_time import VirtualTime
from safelight.control.config import ControlConfig
from safelight.control.fleet import FleetController
from safelight.control.policies import Policies
from safelight.control.replica.config import ReplicaConfig
from safelight.core.errors import (
    AdapterFileError,
    Cancelled,
    CannotServe,
    DeadlineUnmeetable,
    Draining,
    ExtensionError,
    InvalidParameter,
    NotReady,
    QueueFull,
    ShutDown,
    UnknownAdapter,
    UnknownModel,
    WorkFailed,
)
from safelight.core.work import Cancel, Run
from safelight.service.metrics import Metrics
from safelight.service.outcome_log import OutcomeLog
from safelight.service.service import Service, ServiceParts

LOAD_S = 1.0
STEP_S = 0.03
EPOCH_S = 1_000_000.0
MODELS = (spec(LARGE), spec(SMALL))
LINED = (use("outline"),)


def on_a_loop(test):
    """Run a coroutine as a test."""

    @wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


class Scene:
    """A service, and a hand on its clock."""

    def __init__(
        self, *, workers=1, max_denoiser_rows=1, score=None, outcomes=None, is_started=True, beat_s=None, **settings
    ):
        self.time = VirtualTime()
        self.log = NotingLog()
        self.metrics = Metrics()
        self.pool = FakePool(
            MODELS,
            time=self.time,
            config=ReplicaConfig(max_denoiser_rows=max_denoiser_rows),
            count=workers,
            load_s=LOAD_S,
            adapters={"/adapters/outline": adapter("outline")},
            score=score,
            beat_s=beat_s,
        )
        self.outcomes = OutcomeLog(outcomes, epoch_s=EPOCH_S, log=self.log)
        self.service = Service(
            ServiceParts(
                controller=FleetController(ControlConfig(**{"lookahead_rows": 0} | settings)),
                pool=self.pool,
                clock=self.time,
                metrics=self.metrics,
                outcomes=self.outcomes,
                log=self.log,
                call_later=self.time.call_later,
            )
        )
        if is_started:
            self.service.start()
            self.run(None if beat_s is None else 2 * LOAD_S)

    def submit(self, *names, partial_images=0, **fields):
        now_s = self.time.now_s()
        asked = [request(name, arrived_s=now_s, **fields) for name in names or ("one",)]
        return self.service.submit(asked, partial_images=partial_images)

    def run(self, seconds=None):
        """Let so much time pass, or all that there is anything to do in."""
        self.time.run(**({} if seconds is None else {"until": self.time.now_s() + seconds}))

    def sent(self, kind):
        return [worker for worker, command in self.pool.sent if isinstance(command, kind)]

    def counted(self, name):
        """The value of a metric without its labels, summed over them."""
        lines = self.metrics.exposition().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def error_of(pending):
    assert pending.delivery.done()
    return pending.delivery.exception()


@on_a_loop
async def test_a_picture_is_delivered_with_its_record():
    scene = Scene()
    (pending,) = scene.submit(steps=4)
    scene.run()
    delivery = await pending.delivery
    assert delivery.finished.request_id == "one"
    assert (delivery.outcome.status, delivery.outcome.worker) == ("finished", "w1")
    assert delivery.outcome.total_s == pytest.approx(4 * STEP_S)


@on_a_loop
async def test_before_the_first_worker_is_ready_nothing_is_taken():
    scene = Scene(is_started=False)
    scene.service.start()
    with pytest.raises(NotReady):
        scene.submit()
    with pytest.raises(NotReady):
        scene.service.check_open()
    await asyncio.wait_for(scene.service.idle(), 1)
    assert not scene.service.first_ready.is_set()
    scene.run()
    assert scene.service.first_ready.is_set()


@on_a_loop
async def test_a_group_that_is_refused_leaves_nothing_behind():
    scene = Scene(max_waiting=2)
    with pytest.raises(QueueFull):
        scene.submit("a", "b", "c", "d")
    assert scene.sent(Run) == []
    await asyncio.wait_for(scene.service.idle(), 1)
    assert scene.counted("safelight_rejections_total") == 4


@on_a_loop
async def test_a_group_that_is_taken_is_delivered_picture_by_picture():
    scene = Scene()
    pending = scene.submit("a", "b", "c")
    scene.run()
    deliveries = [await each.delivery for each in pending]
    assert [each.request.id for each in deliveries] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"model": "shapes-nowhere"}, UnknownModel),
        ({"loras": LINED}, UnknownAdapter),
        ({"deadline_s": 0.01}, DeadlineUnmeetable),
    ],
)
@on_a_loop
async def test_what_is_not_taken_is_raised(fields, error):
    scene = Scene()
    with pytest.raises(error):
        scene.submit(**fields)
    await asyncio.wait_for(scene.service.idle(), 1)


@on_a_loop
async def test_previews_come_while_the_picture_is_made():
    scene = Scene()
    (pending,) = scene.submit(steps=4, previews=4, partial_images=1)
    news = asyncio.ensure_future(pending.news())
    await asyncio.sleep(0)
    scene.run(2.5 * STEP_S)
    await asyncio.wait_for(news, 1)
    assert [each.step for each in pending.partials] == [2]
    scene.run(STEP_S)
    assert scene.service.preview("one").step == 3
    scene.run()
    assert pending.delivery.done()
    assert scene.service.preview("one") is None


@on_a_loop
async def test_a_withdrawn_picture_ends_for_its_client_at_once_and_for_its_worker_at_the_next_step():
    scene = Scene()
    (pending,) = scene.submit()
    scene.run(1.5 * STEP_S)
    assert scene.service.withdraw("one")
    assert isinstance(error_of(pending), Cancelled)
    assert scene.sent(Cancel) == ["w1"]
    assert not scene.service.controller.is_idle
    scene.run(STEP_S)
    await asyncio.wait_for(scene.service.idle(), 1)
    assert not scene.service.withdraw("one")


@on_a_loop
async def test_a_picture_that_waits_is_withdrawn_without_its_worker():
    scene = Scene()
    _, waiting = scene.submit("running", "waiting")
    scene.service.withdraw("waiting")
    assert isinstance(error_of(waiting), Cancelled)
    assert scene.sent(Cancel) == []


@on_a_loop
async def test_all_that_is_under_way_is_withdrawn_when_the_service_ends():
    scene = Scene()
    pending = scene.submit("running", "waiting")
    assert scene.service.withdraw_all() == 2
    assert all(isinstance(error_of(each), ShutDown) for each in pending)
    await scene.service.stop()
    assert scene.pool.is_stopped


@on_a_loop
async def test_an_adapter_is_offered_used_and_removed():
    scene = Scene()
    verdict = scene.service.offer_adapter("outline", Path("/adapters/outline"))
    assert not verdict.done()
    scene.run()
    assert verdict.result() == adapter("outline")
    (pending,) = scene.submit(loras=LINED)
    assert scene.service.remove_adapter("outline") == adapter("outline")
    scene.run()
    assert (await pending.delivery).outcome.status == "finished"
    with pytest.raises(UnknownAdapter):
        scene.submit(loras=LINED)


@on_a_loop
async def test_an_adapter_that_cannot_be_used_is_refused():
    scene = Scene()
    broken = scene.service.offer_adapter("broken", Path("/adapters/broken"))
    scene.run()
    assert isinstance(broken.exception(), AdapterFileError)
    assert isinstance(scene.service.offer_adapter("a/b", Path("/adapters/outline")).exception(), InvalidParameter)
    with pytest.raises(UnknownAdapter):
        scene.service.remove_adapter("broken")


@on_a_loop
async def test_an_adapter_whose_folder_no_message_can_name_is_refused_and_serving_goes_on():
    scene = Scene()
    refused = scene.service.offer_adapter("glow", Path("/adapters\udcff/glow"))
    assert isinstance(refused.exception(), AdapterFileError)
    (picture,) = scene.submit("a")
    scene.run()
    assert picture.delivery.result()


@on_a_loop
async def test_nothing_is_ready_before_the_initial_adapters_have_been_judged():
    scene = Scene(is_started=False)
    scene.service.start({"outline": Path("/adapters/outline"), "broken": Path("/adapters/broken")})
    scene.time.step()
    assert scene.service.models.keys() == {LARGE, SMALL}
    with pytest.raises(NotReady):
        scene.service.check_ready()
    scene.run()
    await asyncio.wait_for(scene.service.first_ready.wait(), 1)
    scene.service.check_ready()
    assert [facts["adapter"] for facts in scene.log.facts("adapter ready")] == ["outline"]
    assert [facts["adapter"] for facts in scene.log.facts("adapter refused")] == ["broken"]


@on_a_loop
async def test_a_picture_whose_worker_died_is_made_by_the_next():
    scene = Scene()
    (pending,) = scene.submit()
    scene.run(1.5 * STEP_S)
    scene.pool.kill("w1")
    scene.run()
    outcome = (await pending.delivery).outcome
    assert (outcome.worker, outcome.retries) == ("w2", 1)
    assert outcome.queue_s == pytest.approx(1.5 * STEP_S + LOAD_S)
    assert [facts["attempt"] for facts in scene.log.facts("picture runs again")] == [2]
    assert scene.counted("safelight_worker_restarts_total") == 1


@on_a_loop
async def test_a_picture_that_loses_worker_after_worker_is_given_up():
    scene = Scene(max_attempts=2)
    (pending,) = scene.submit()
    scene.run(STEP_S / 2)
    scene.pool.kill("w1")
    scene.run(LOAD_S + STEP_S / 2)
    scene.pool.kill("w2")
    assert isinstance(error_of(pending), WorkFailed)
    assert error_of(pending).reason == "worker_lost"


@on_a_loop
async def test_what_a_dead_worker_had_sent_before_is_ignored():
    scene = Scene()
    (pending,) = scene.submit()
    scene.pool.kill("w1")
    scene.pool.report("w1", finished("one"))
    assert not pending.delivery.done()


@on_a_loop
async def test_a_drain_ends_when_all_that_was_accepted_has_ended():
    scene = Scene()
    pending = scene.submit("running", "waiting")
    scene.service.begin_drain()
    with pytest.raises(Draining):
        scene.submit("late")
    with pytest.raises(Draining):
        scene.service.check_ready()
    idle = asyncio.ensure_future(scene.service.idle())
    await asyncio.sleep(0)
    assert not idle.done()
    scene.run()
    await asyncio.wait_for(idle, 1)
    assert all(each.delivery.result().outcome.status == "finished" for each in pending)


@on_a_loop
async def test_a_picture_that_no_worker_is_there_for_is_given_up_in_time():
    scene = Scene(orphan_wait_s=60.0)
    scene.run(10.0)
    scene.pool.kill("w1", has_successor=False)
    (pending,) = scene.submit()
    scene.run(59.0)
    assert not pending.delivery.done()
    scene.run(1.0)
    assert error_of(pending).reason == "no_worker"
    assert scene.time.next_s is None


@on_a_loop
async def test_a_worker_that_comes_in_time_ends_the_wait():
    scene = Scene(orphan_wait_s=60.0)
    scene.pool.kill("w1")
    (pending,) = scene.submit()
    scene.run()
    assert (await pending.delivery).outcome.worker == "w2"


@on_a_loop
async def test_a_service_that_has_stopped_wakes_no_more():
    scene = Scene(orphan_wait_s=60.0)
    scene.pool.kill("w1", has_successor=False)
    scene.submit()
    await scene.service.stop()
    assert scene.time.next_s is None


@on_a_loop
async def test_another_part_that_is_missing_makes_the_service_unready_but_not_closed():
    scene = Scene()
    scene.service.part_changed("controlnets", "The ControlNets are being loaded.")
    with pytest.raises(NotReady, match="ControlNets"):
        scene.service.check_ready()
    scene.service.check_open()
    scene.service.part_changed("controlnets", None)
    scene.service.check_ready()


@on_a_loop
async def test_a_collapse_of_the_pool_is_there_for_whoever_waits_for_it():
    scene = Scene()
    for message in ("first", "second"):
        scene.pool.collapse(CannotServe(message))
    assert str(await asyncio.wait_for(scene.service.collapse, 1)) == "first"


class Crooked:
    """A routing policy that fails at its second choice, or a level policy that always does."""

    name = "crooked"

    def __init__(self):
        self.choices = 0

    def choose(self, routed, fleet, now):
        self.choices += 1
        return fleet.least_loaded if self.choices == 1 else 1 / 0

    def route(self, asked, models, load):
        return 1 / 0


@on_a_loop
async def test_a_controller_that_fails_ends_the_service_and_nobody_waits_for_ever():
    scene = Scene(policies=Policies(routing=Crooked()))
    pending = scene.submit("running", "waiting")
    scene.run()
    assert "crooked" in str(await asyncio.wait_for(scene.service.collapse, 1))
    assert scene.log.facts("service failed")
    scene.service.withdraw_all()
    assert all(isinstance(error_of(each), ShutDown) for each in pending)


@on_a_loop
async def test_a_message_that_cannot_be_sent_ends_the_service_and_nobody_waits_for_ever():
    scene = Scene()
    scene.pool.send = lambda worker, command: command.no_such_field
    (pending,) = scene.submit()
    assert "no_such_field" in str(await asyncio.wait_for(scene.service.collapse, 1))
    scene.service.withdraw_all()
    assert isinstance(error_of(pending), ShutDown)


@on_a_loop
async def test_a_request_at_which_a_policy_fails_is_refused_and_logged_and_the_service_goes_on():
    scene = Scene(policies=Policies(level=Crooked()))
    with pytest.raises(ExtensionError, match="crooked"):
        scene.submit()
    assert [facts["id"] for facts in scene.log.facts("policy failed")] == ["one"]
    await asyncio.wait_for(scene.service.idle(), 1)
    assert not scene.service.collapse.done()


@pytest.mark.parametrize(("score", "models"), [(THRESHOLD, [SMALL]), (THRESHOLD - 0.1, [SMALL, LARGE])])
@on_a_loop
async def test_a_picture_goes_through_the_levels_that_its_scores_ask_for(score, models):
    scene = Scene(score=lambda job: score, policies=Policies(level=Cascade()))
    (pending,) = scene.submit(model=None)
    scene.run()
    stages = (await pending.delivery).outcome.stages
    assert [stage.level.model for stage in stages] == models
    assert [stage.score for stage in stages] == [score] * len(models)


@on_a_loop
async def test_how_fast_pictures_came_of_late_is_known():
    scene = Scene()
    scene.submit("a", "b")
    scene.run(10.0)
    pace = scene.service.recent.pace(now_s=scene.time.now_s())
    assert pace.throughput_per_s == pytest.approx(2 / (10 + LOAD_S), rel=0.01)


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@on_a_loop
async def test_every_end_is_a_line_of_the_outcome_log(tmp_path):
    path = tmp_path / "outcomes.jsonl"
    scene = Scene(outcomes=path, max_waiting=2)
    scene.submit("running", "waiting", "withdrawn")
    scene.service.withdraw("withdrawn")
    with pytest.raises(QueueFull):
        scene.submit("a", "b")
    with pytest.raises(UnknownModel):
        scene.submit("never", model="shapes-nowhere")
    scene.run()
    scene.outcomes.close()
    assert [line["status"] for line in lines_of(path)] == ["cancelled", "rejected", "rejected", "finished", "finished"]
    last = lines_of(path)[-1]
    assert last["instance"] == "w1"
    assert last["queue_s"] == pytest.approx(4 * STEP_S)
    assert last["duration_s"] == pytest.approx(8 * STEP_S)
    assert scene.counted("safelight_pictures_total") == 5


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["submit", "submit", "withdraw", "kill", "wait"]), st.integers(1, 4)), max_size=30
)


async def live(actions):
    """Submit, withdraw and kill; return what was submitted, and the scene."""
    scene = Scene(workers=2, max_denoiser_rows=2, max_waiting=4, orphan_wait_s=5.0)
    pending, refused = {}, 0
    for number, (action, size) in enumerate(actions):
        names = [f"r{number}.{member}" for member in range(size)]
        if action == "submit":
            try:
                pending |= dict(zip(names, scene.submit(*names, steps=size), strict=True))
            except QueueFull:
                refused += size
        elif action == "withdraw" and pending:
            scene.service.withdraw(list(pending)[-size % len(pending)])
        elif action == "kill":
            ready = [member.name for member in scene.pool.members if member.ready]
            if ready:
                scene.pool.kill(ready[size % len(ready)], has_successor=size > 1)
        else:
            scene.run(size * STEP_S / 2)
    scene.run()
    return scene, pending, refused


@given(actions=ACTIONS)
def test_whatever_happens_every_request_ends_once(actions):
    scene, pending, refused = asyncio.run(live(actions))
    assert all(each.delivery.done() for each in pending.values())
    assert scene.service.controller.is_idle
    ended = [
        facts["id"] for _, event, facts in scene.log.entries if event.startswith("picture ") and "total_s" in facts
    ]
    assert len(ended) == len(set(ended)) == len(pending) + refused


@on_a_loop
async def test_a_worker_that_falls_silent_is_suspected_then_killed_and_its_picture_is_delivered_by_its_successor():
    scene = Scene(beat_s=0.5)
    (pending,) = scene.submit(steps=4)
    scene.pool.stop_worker("w1")
    scene.run(3)
    assert scene.counted("safelight_workers_suspected") == 1
    assert scene.counted("safelight_workers_ready") == 0
    with pytest.raises(NotReady):
        scene.service.check_ready()
    scene.run(15)
    delivery = await pending.delivery
    assert (delivery.outcome.worker, delivery.outcome.retries) == ("w2", 1)
    assert [len(scene.log.facts(event)) for event in ("worker suspected", "worker hung", "worker lost")] == [1, 1, 1]
    assert scene.counted('safelight_workers_lost_total{reason="hung"}') == 1
    assert scene.counted("safelight_workers_hung_total") == 1


@on_a_loop
async def test_a_worker_that_was_silent_for_a_while_delivers_what_it_has_finished_meanwhile_once():
    scene = Scene(beat_s=0.5)
    (pending,) = scene.submit(steps=4)
    scene.pool.stop_worker("w1")
    scene.run(5)
    scene.pool.go_on("w1")
    scene.run(1)
    assert (await pending.delivery).outcome.retries == 0
    assert scene.log.facts("worker responds again") == [{"worker": "w1"}]
    scene.service.check_ready()


@on_a_loop
async def test_starts_that_fail_are_counted():
    scene = Scene(beat_s=0.5, is_started=False)
    scene.service.start()
    scene.pool.kill("w1")
    scene.run(2 * LOAD_S)
    assert scene.counted("safelight_worker_start_failures_total") == 1
    assert scene.counted('safelight_workers_lost_total{reason="start_failed"}') == 1
    scene.service.check_ready()
