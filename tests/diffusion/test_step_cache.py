"""Steps that take over the prediction of an earlier one, for each row on its own."""

import msgspec
import numpy as np
import pytest
import torch

from safelight.diffusion.step_cache import WARM_UP_STEPS, StepCache

STEPS = 16


def pictures(engine, jobs, *, late=()):
    """Paint `jobs`, the `late` ones from the third step of the others on; returns bytes and steps taken over by id."""
    engine.begin(jobs)
    left = {job.id: job.level.steps for job in jobs}
    reused: dict[str, list[int]] = {job.id: [] for job in (*jobs, *late)}
    painted, tick = {}, 0
    while left:
        if tick == 3 and late:
            engine.begin(late)
            left |= {job.id: job.level.steps for job in late}
        engine.step(list(left))
        for row in list(left):
            if engine.reused_step(row):
                reused[row].append(tick)
            left[row] -= 1
            if not left[row]:
                del left[row]
                painted[row] = np.frombuffer(engine.finish([row])[0].rgb, np.uint8).astype(int)
        tick += 1
    return painted, reused


@pytest.fixture
def cached(ask):
    return lambda name, **settings: ask(name, steps=STEPS, step_cache=0.2, **settings)


def test_a_row_with_a_cache_skips_steps_but_not_the_first_and_the_last(engine, cached):
    _, reused = pictures(engine, [cached("row")])
    assert reused["row"]
    assert min(reused["row"]) >= WARM_UP_STEPS
    assert max(reused["row"]) < STEPS - 1


def test_a_tolerance_of_nothing_changes_no_byte(engine, ask):
    plain, _ = pictures(engine, [ask("row", steps=STEPS)])
    tight, reused = pictures(engine, [ask("row", steps=STEPS, step_cache=1e-9)])
    assert not reused["row"]
    assert (plain["row"] == tight["row"]).all()


def test_a_row_takes_over_the_same_steps_in_any_company(engine, ask, cached):
    alone, reused_alone = pictures(engine, [cached("row")])
    crowd = [ask("plain", steps=STEPS, seed=5), cached("other", seed=6, guidance_scale=1.0)]
    among, reused = pictures(engine, [cached("row"), *crowd], late=[cached("late", seed=7)])
    assert reused["row"] == reused_alone["row"]
    assert abs(alone["row"] - among["row"]).max() <= 1
    assert not reused["plain"]


def test_a_row_without_a_cache_is_the_same_beside_one_that_skips(engine, ask, cached):
    alone, _ = pictures(engine, [ask("plain", steps=STEPS, seed=5)])
    among, _ = pictures(engine, [ask("plain", steps=STEPS, seed=5), cached("row")])
    assert abs(alone["plain"] - among["plain"]).max() <= 1


def test_a_resumed_row_computes_its_first_steps(engine, cached):
    job = cached("row")
    engine.begin([job])
    for _ in range(6):
        engine.step(["row"])
    paused = engine.pause("row")
    engine.resume(msgspec.structs.replace(job, paused=msgspec.structs.replace(paused, steps_run=6)))
    skipped = []
    for step in range(6, STEPS):
        engine.step(["row"])
        skipped += [step] * engine.reused_step("row")
    engine.finish(["row"])
    assert all(step >= 6 + WARM_UP_STEPS for step in skipped)


def test_a_prediction_that_moves_with_the_latents_is_taken_over_exactly():
    cache = StepCache(0.5)
    drift = torch.full((1, 2, 2), 3.0)
    for step in range(WARM_UP_STEPS):
        latents = torch.full((1, 2, 2), 10.0 - step)
        assert cache.reused(latents, is_last=False) is None
        cache.computed(latents, latents + drift)
    latents = torch.full((1, 2, 2), 10.0 - WARM_UP_STEPS)
    taken = cache.reused(latents, is_last=False)
    assert taken is not None
    assert torch.allclose(taken, latents + drift)
