"""What a service tells of the end of each request, and of those that wait."""

import contextvars

import pytest
from prometheus_client import CollectorRegistry

from control.cascade import THRESHOLD, Cascade
from control.makers import LARGE, SMALL
from safelight.control.policies import Policies
from safelight.core.errors import NotReady, QueueFull
from safelight.service.fleet_metrics import FleetCollector
from service.test_service import STEP_S, Scene, on_a_loop

caller = contextvars.ContextVar("caller", default="nobody")


class Noting:
    """Keeps who had made the request of each outcome."""

    def __init__(self, scene):
        self.ended = []
        scene.service._on_end = lambda outcome: self.ended.append((caller.get(), outcome))

    @property
    def callers(self):
        return {outcome.request.id: name for name, outcome in self.ended}


def submit_as(name, scene, *names, **fields):
    def submit():
        caller.set(name)
        return scene.submit(*names, **fields)

    return contextvars.copy_context().run(submit)


@on_a_loop
async def test_each_end_is_told_in_the_context_of_its_request():
    scene = Scene(max_waiting=1)
    noting = Noting(scene)
    submit_as("ann", scene, "running")
    submit_as("bob", scene, "waiting")
    with pytest.raises(QueueFull):
        submit_as("carl", scene, "refused")
    scene.service.withdraw("waiting")
    scene.run()
    assert noting.callers == {"running": "ann", "waiting": "bob", "refused": "carl"}
    assert {outcome.status for _, outcome in noting.ended} == {"finished", "cancelled", "rejected"}


@on_a_loop
async def test_the_stages_of_a_request_fill_its_time():
    scene = Scene(score=lambda job: THRESHOLD - 0.1, policies=Policies(level=Cascade()))
    (_, second) = (*scene.submit("first", model=None), *scene.submit("second", model=None))
    scene.run()
    outcome = (await second.delivery).outcome
    assert [stage.level.model for stage in outcome.stages] == [SMALL, LARGE]
    assert sum(stage.total_s for stage in outcome.stages) == pytest.approx(outcome.total_s)
    assert all(stage.queue_s <= stage.total_s for stage in outcome.stages)


@on_a_loop
async def test_a_refusal_before_any_model_is_known_is_counted_too():
    scene = Scene(is_started=False)
    with pytest.raises(NotReady):
        scene.submit()
    assert scene.counted('safelight_rejections_total{reason="not_ready"}') == 1


@on_a_loop
async def test_the_oldest_waiting_picture_is_measured_from_its_arrival():
    scene = Scene()
    registry = CollectorRegistry()
    registry.register(FleetCollector(scene.service.controller, scene.time.now_s))

    def oldest_s():
        return registry.get_sample_value("safelight_oldest_waiting_seconds")

    assert oldest_s() == 0
    scene.submit("running", steps=100)
    scene.submit("old", steps=1)
    scene.run(10 * STEP_S)
    scene.submit("new", steps=1)
    assert oldest_s() == pytest.approx(10 * STEP_S)
    scene.run()
    assert oldest_s() == 0
