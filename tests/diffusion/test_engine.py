"""Step-level batching: what a row becomes is its own affair."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from safelight.core.job import Job
from safelight.core.pixels import Pixels
from safelight.diffusion.samplers.registry import SAMPLERS

ONE_BYTE = 1
"""A difference below 1e-4 can still round to the neighbouring byte."""


def as_array(picture: Pixels) -> NDArray[np.int16]:
    return np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3).astype(np.int16)


def paint_joining(engine, arrivals: Mapping[int, Sequence[Job]]) -> dict[str, NDArray[np.int16]]:
    """Begin each job at its tick, step all rows together, and return the pictures by id."""
    left: dict[str, int] = {}
    pictures: dict[str, NDArray[np.int16]] = {}
    tick = 0
    while left or tick <= max(arrivals):
        if fresh := arrivals.get(tick):
            engine.begin(fresh)
            left |= {job.id: job.level.steps for job in fresh}
        if left:
            assert engine.step(list(left)) == ()
        left = {row: steps - 1 for row, steps in left.items()}
        for row in [row for row, steps in left.items() if steps == 0]:
            pictures[row] = as_array(engine.finish([row])[0])
            del left[row]
        tick += 1
    return pictures


@pytest.fixture
def crowd(ask) -> dict[int, list[Job]]:
    """Fifteen unlike jobs that join at five different ticks."""
    colours = ("red", "green", "blue", "yellow", "pink")
    return {
        2 * wave: [
            ask(
                f"other-{wave}-{place}",
                prompt=f"a small {colours[wave]} star",
                seed=100 * wave + place,
                steps=5 + 3 * place,
                guidance_scale=(1.0, 2.5, 6.0)[place],
                sampler=SAMPLERS[place].name,
            )
            for place in range(3)
        ]
        for wave in range(5)
    }


@pytest.mark.parametrize("sampler", [sampler.name for sampler in SAMPLERS])
def test_a_picture_does_not_depend_on_who_shares_its_batch(engine, ask, crowd, sampler):
    mine = ask("mine", sampler=sampler, steps=9)
    alone = paint_joining(engine, {0: [mine]})["mine"]
    among = paint_joining(engine, crowd | {4: [*crowd[4], mine]})["mine"]
    assert np.abs(alone - among).max() <= ONE_BYTE


def test_latents_differ_by_less_than_a_ten_thousandth_in_company(engine, ask, crowd):
    def latent_after(company: Sequence[Job]):
        mine = ask("mine", sampler="dpm++2m", steps=12)
        engine.begin([mine, *company])
        rows = [mine.id, *(job.id for job in company)]
        for _ in range(5):
            engine.step(rows)
        latent = engine._rows["mine"].latent.numpy()
        for row in rows:
            engine.drop(row)
        return latent

    company = [job for wave in crowd.values() for job in wave]
    assert np.abs(latent_after([]) - latent_after(company)).max() < 1e-4


def test_the_same_seed_gives_the_same_picture_and_another_seed_another(engine, ask):
    first, again, other = (paint_joining(engine, {0: [ask("row", seed=seed)]})["row"].tobytes() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_dropped_row_is_gone_and_the_others_go_on(engine, ask):
    engine.begin([ask("gone"), ask("stays")])
    engine.step(["gone", "stays"])
    engine.drop("gone")
    for _ in range(7):
        engine.step(["stays"])
    assert len(engine.finish(["stays"])) == 1
    with pytest.raises(KeyError):
        engine.step(["gone"])


def test_a_row_whose_numbers_overflow_is_named_and_its_neighbour_is_not(engine, ask):
    engine.begin([ask("wild", guidance_scale=float("inf")), ask("tame")])
    broken = engine.step(["wild", "tame"])
    engine.drop("wild")
    engine.drop("tame")
    assert broken == ("wild",)


def test_guidance_of_one_equals_no_guidance_at_all(engine, ask):
    engine.begin([ask("plain", guidance_scale=1.0), ask("nearly", guidance_scale=1.0 + 1e-6)])
    for _ in range(8):
        engine.step(["plain", "nearly"])
    plain, nearly = (as_array(picture) for picture in engine.finish(["plain", "nearly"]))
    assert np.abs(plain - nearly).max() <= ONE_BYTE


def test_a_preview_late_in_the_run_resembles_the_picture(engine, ask):
    engine.begin([ask("row", steps=10)])
    for _ in range(9):
        engine.step(["row"])
    preview = as_array(engine.preview("row"))
    engine.step(["row"])
    picture = as_array(engine.finish(["row"])[0])
    shrunk = picture.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))
    assert np.abs(preview - shrunk).mean() < 40


def test_other_sizes_are_painted_too(engine, ask):
    picture = paint_joining(engine, {0: [ask("wide", width=96, height=64, steps=2)]})["wide"]
    assert picture.shape == (64, 96, 3)


def test_prompt_tokens_count_the_words_that_the_model_knows(engine, ask):
    engine.begin([ask("row", prompt="Please draw a RED circle!")])
    tokens = engine.prompt_tokens("row")
    engine.drop("row")
    assert tokens == len(["red", "circle"])
