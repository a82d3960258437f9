"""One budget counts all request bodies."""

import asyncio
import tracemalloc
from types import SimpleNamespace

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from safelight.server.bodies import SMALL_BODY_BYTES, Bodies, BodyBudget, HeldBody, body_of
from safelight.server.json_scan import JsonLimits
from safelight.server.middleware.limits import RequestLimits
from safelight.server.settings import ServerSettings
from safelight.service.metrics import Metrics

BUDGET = 8 * 100 * SMALL_BODY_BYTES
LARGE = SMALL_BODY_BYTES + 1
BODY_BYTES, PIECE_BYTES = 16 << 20, 1 << 19


def bodies_with(budget):
    return Bodies(budget=budget, json_limits=JsonLimits())


@pytest.fixture
def budget():
    return BodyBudget(BUDGET)


@pytest.fixture
def bodies(budget):
    return bodies_with(budget)


def test_a_body_is_counted_until_it_is_released(budget, bodies):
    body = HeldBody(bodies)
    assert body.grow(10)
    assert body.grow(5)
    assert budget.held_bytes == 15
    body.release()
    body.release()
    assert budget.held_bytes == 0


def test_a_body_is_given_once_and_counted_on(budget, bodies):
    body = HeldBody(bodies)
    body.grow(1)
    body.put(b"x")
    assert (body.take(), body.take(), budget.held_bytes) == (b"x", b"", 1)


def test_large_bodies_leave_an_eighth_to_small_ones(bodies):
    large = HeldBody(bodies)
    assert large.grow(BUDGET * 7 // 8)
    assert not large.grow(1)
    assert not HeldBody(bodies).grow(LARGE)
    assert HeldBody(bodies).grow(SMALL_BODY_BYTES)


def test_a_body_that_is_refused_growth_keeps_its_count(budget, bodies):
    body = HeldBody(bodies)
    body.grow(7)
    assert not body.grow(BUDGET)
    assert budget.held_bytes == 7


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3 * SMALL_BODY_BYTES) | st.none()), max_size=60))
def test_the_budget_is_never_exceeded_and_ends_empty(steps):
    budget = BodyBudget(BUDGET // 100)
    bodies = [HeldBody(bodies_with(budget)) for _ in range(10)]
    for number, count in steps:
        if count is None:
            bodies[number].release()
        else:
            bodies[number].grow(count)
        assert 0 <= budget.held_bytes <= BUDGET // 100
    for body in bodies:
        body.release()
    assert budget.held_bytes == 0


def test_a_body_is_held_in_one_copy_while_it_arrives_and_in_two_while_it_is_checked():
    peaks = {kind: peak_of_receiving(kind) for kind in ("multipart/form-data", "application/json")}
    assert peaks["multipart/form-data"] < 1.3 * BODY_BYTES
    assert peaks["application/json"] < 2.3 * BODY_BYTES


def peak_of_receiving(media_type):
    """Return the most bytes that are allocated until the application has taken a body."""
    budget = BodyBudget(8 * BODY_BYTES)
    state = SimpleNamespace(settings=ServerSettings(worker_argv=()), bodies=bodies_with(budget), metrics=Metrics())
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [(b"content-type", media_type.encode())],
        "app": SimpleNamespace(state=SimpleNamespace(server=state)),
    }
    pieces = iter(range(BODY_BYTES // PIECE_BYTES))
    taken = []

    async def receive():
        number = next(pieces)
        return {"type": "http.request", "body": b'"' + b"x" * (PIECE_BYTES - 2) + b'"', "more_body": number < 31}

    async def application(scope, receive, send):
        taken.append(body_of(Request(scope)).take())
        assert budget.held_bytes == BODY_BYTES

    async def send(message):
        raise AssertionError(message)

    tracemalloc.start()
    try:
        asyncio.run(RequestLimits(application)(scope, receive, send))
        assert (len(taken[0]), budget.held_bytes) == (BODY_BYTES, 0)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        state.bodies.thread.close()
