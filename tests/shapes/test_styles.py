"""Laws that every style keeps."""

from itertools import islice

import numpy as np
import pytest

from safelight.shapes.render import render
from safelight.shapes.sampling import training_scenes
from safelight.shapes.score import score
from safelight.shapes.styles import STYLES

VISIBLE = 15
"""RGB levels between two colours that a person tells apart at once."""

SCENES = list(islice(training_scenes(np.random.default_rng(7)), 24))


@pytest.fixture(params=STYLES, ids=lambda style: style.name)
def style(request):
    return request.param


def facts(pictures):
    return np.mean([score(picture, scene.description).share for picture, scene in zip(pictures, SCENES, strict=True)])


def test_a_style_keeps_the_facts_of_a_scene(style):
    assert facts([style.paint(scene) for scene in SCENES]) >= facts([render(scene) for scene in SCENES]) - 0.05


def test_a_styled_picture_shows_the_style(style):
    assert all(style.measure(style.paint(scene)) > 0.5 for scene in SCENES)


def test_a_plain_picture_does_not_show_the_style(style):
    assert all(style.measure(render(scene)) < 0.1 for scene in SCENES)


def test_no_measure_says_more_of_a_style_than_its_own(style):
    pictures = [style.paint(scene) for scene in SCENES]
    assert max(STYLES, key=lambda other: np.mean([other.measure(picture) for picture in pictures])) is style


def test_a_style_changes_a_good_part_of_a_picture_visibly(style):
    changes = [style.paint(scene) - render(scene).astype(float) for scene in SCENES]
    assert np.mean(np.linalg.norm(changes, axis=3) > VISIBLE) > 0.15


def test_a_style_paints_pictures_as_large_as_plain_ones(style):
    picture = style.paint(SCENES[0])
    assert (picture.shape, picture.dtype) == ((64, 64, 3), np.uint8)


def test_styles_differ_by_name():
    assert len({style.name for style in STYLES}) == len(STYLES) >= 8
