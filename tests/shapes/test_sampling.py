from itertools import islice, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.shapes.caption import caption_of, parse
from safelight.shapes.render import coverage
from safelight.shapes.sampling import draw_scene, held_out_captions, is_held_out, training_scenes, vary
from safelight.shapes.scene import ObjectDescription, SceneDescription
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES
from shapes.worlds import drawn_scenes


def full_captions_of_one_object():
    for size, colour, shape, background in product(SIZES, COLOURS, SHAPES, BACKGROUNDS):
        yield SceneDescription(
            objects=(ObjectDescription(shape=shape, colour=colour, size=size),), background=background
        )


def test_the_same_captions_are_held_out_for_ever():
    held_out = [caption_of(description) for description in full_captions_of_one_object() if is_held_out(description)]
    assert len(held_out) == 52
    assert held_out[:3] == [
        "a small orange heart on a gray background",
        "a small yellow triangle on a white background",
        "a small yellow star on a black background",
    ]


def test_training_never_sees_a_held_out_caption():
    assert not any(is_held_out(scene.description) for scene in islice(training_scenes(np.random.default_rng(1)), 500))


def test_a_third_of_training_scenes_has_one_object():
    counts = [len(scene.objects) for scene in islice(training_scenes(np.random.default_rng(2)), 1500)]
    assert counts.count(1) / len(counts) == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize("objects", [1, 2])
def test_held_out_captions_are_full_captions_that_are_held_out(objects):
    descriptions = [parse(text) for text in held_out_captions(np.random.default_rng(3), objects=objects, count=40)]
    assert all(is_held_out(description) and len(description.objects) == objects for description in descriptions)


def test_the_same_seed_draws_the_same_scenes():
    first, second = (list(islice(training_scenes(np.random.default_rng(4)), 20)) for _ in range(2))
    assert first == second


def _covered(item):
    return coverage(item.shape, x=item.x, y=item.y, radius=SIZES[item.size]) > 0


@given(drawn_scenes(objects=1) | drawn_scenes(objects=2))
def test_objects_stay_clear_of_the_border_and_of_each_other(scene):
    covered = sum(_covered(item).astype(int) for item in scene.objects)
    border = [covered[0], covered[-1], covered[:, 0], covered[:, -1]]
    assert (covered.max(), np.max(border)) == (1, 0)


@given(drawn_scenes(objects=2))
def test_the_relation_is_true_of_the_scene(scene):
    first, second = scene.objects
    across, down = second.x - first.x, second.y - first.y
    assert (across if scene.relation == "left of" else down) == max(abs(across), abs(down))


def test_every_word_is_drawn():
    rng = np.random.default_rng(5)
    scenes = [draw_scene(rng, objects=2) for _ in range(300)]
    items = [item for scene in scenes for item in scene.objects]
    assert {item.shape for item in items} == set(SHAPES)
    assert {item.colour for item in items} == set(COLOURS)
    assert {item.size for item in items} == set(SIZES)
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    assert {scene.relation for scene in scenes} == set(RELATIONS)


@given(drawn_scenes(objects=1) | drawn_scenes(objects=2), st.integers(0, 2**32 - 1))
def test_varying_a_wish_only_leaves_words_out(scene, seed):
    varied = vary(np.random.default_rng(seed), scene.description)
    pairs = zip(varied.objects, scene.description.objects, strict=True)
    assert all(less.shape == full.shape and less.colour in {None, full.colour} for less, full in pairs)
    assert (varied.relation, varied.background in {None, scene.background}) == (scene.relation, True)


def test_varying_without_dropping_changes_nothing():
    description = draw_scene(np.random.default_rng(6), objects=2).description
    assert vary(np.random.default_rng(7), description, drop=0) == description
