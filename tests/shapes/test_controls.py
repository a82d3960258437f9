"""Control pictures say where objects are, and the distance tells whether a picture keeps to them."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from safelight.shapes.controls import CONTROLS, MISSING, centre_distance, edges, mask
from safelight.shapes.render import render
from safelight.shapes.sampling import training_scenes

SCENES = list(islice(training_scenes(np.random.default_rng(8)), 16))


@pytest.fixture(params=CONTROLS.values(), ids=CONTROLS)
def control(request):
    return request.param


def test_the_scene_itself_lies_where_its_control_picture_says(control):
    assert max(centre_distance(control(scene), render(scene)) for scene in SCENES) < 1


def test_a_moved_object_is_as_far_off_as_it_was_moved(control):
    scene = next(scene for scene in SCENES if len(scene.objects) == 1)
    item = scene.objects[0]
    moved = replace(scene, objects=(replace(item, x=64 - item.x + 6, y=item.y),))
    expected = abs(64 - 2 * item.x + 6)
    assert centre_distance(control(scene), render(moved)) == pytest.approx(expected, abs=0.5)


def test_an_object_that_is_not_painted_counts_as_far_off(control):
    scene = SCENES[0]
    blank = np.full((64, 64, 3), 245, np.uint8)
    assert centre_distance(control(scene), blank) == MISSING


def test_edges_lie_within_the_mask():
    assert all((edges(scene) <= mask(scene)).all() for scene in SCENES)


def test_edges_are_hollow():
    assert all(edges(scene).sum() < mask(scene).sum() * 0.8 for scene in SCENES)
