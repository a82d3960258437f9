"""Pictures that must not pass: what the scene score gives to noise, blanks, blobs and tricks."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from safelight.shapes.looking import look
from safelight.shapes.render import coverage, render
from safelight.shapes.scene import ObjectDescription, PlacedObject, Scene, SceneDescription
from safelight.shapes.score import score
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS
from shapes.worlds import blurred, scenes, to_picture

WISHES = [scene.description for objects in (1, 2) for scene in scenes(20, objects=objects, seed=10)]


def mean_share(paint, seed=11):
    rng = np.random.default_rng(seed)
    return np.mean([score(paint(rng), description).share for description in WISHES])


def on_white(share, colour=COLOURS["red"]):
    """Return a picture of one object of any form on a white ground."""
    return to_picture(np.array(BACKGROUNDS["white"]) * (1 - share[..., None]) + np.array(colour) * share[..., None])


def ellipse(*, long, short):
    down, across = np.mgrid[:64, :64] - 31.5
    return ndimage.gaussian_filter((np.hypot(across / long, down / short) <= 1).astype(float), 0.5)


def blob(rng):
    """Return the coverage of a round thing with a few random lobes."""
    down, across = np.mgrid[:64, :64] - 31.5
    angle = np.arctan2(down, across)
    heights, turns = rng.uniform(0.12, 0.3, 4), rng.uniform(0, 2 * np.pi, 4)
    lobes = sum(height * np.cos(n * angle + turn) for n, height, turn in zip((2, 3, 4, 5), heights, turns, strict=True))
    return ndimage.gaussian_filter((np.hypot(across, down) <= rng.uniform(7, 14) * (1 + lobes)).astype(float), 0.6)


def test_random_bytes_have_no_facts():
    assert mean_share(lambda rng: rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) <= 0.01


@pytest.mark.parametrize("grain", [1, 2, 4])
def test_coloured_clouds_have_next_to_no_facts(grain):
    def clouds(rng):
        soft = ndimage.gaussian_filter(rng.normal(size=(64, 64, 3)), (grain, grain, 0))
        return to_picture(128 + soft / soft.std() * 60)

    assert mean_share(clouds) <= 0.05


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_blank_picture_has_its_ground_and_nothing_else(background):
    description = replace(WISHES[-1], background=background)
    facts = score(render(Scene(objects=(), background=background)), description).facts
    assert [fact.name for fact in facts if fact.holds] == ["background"]


def test_a_blank_picture_of_no_palette_colour_has_no_facts():
    assert score(np.full((64, 64, 3), (90, 30, 160), np.uint8), WISHES[0]).share == 0


def test_blobs_have_no_shape():
    rng = np.random.default_rng(12)
    shapes = [item.shape for _ in range(60) for item in look(on_white(blob(rng))).objects]
    assert len(shapes) >= 60
    assert set(shapes) == {None}


def test_a_blob_may_still_have_its_colour():
    (seen,) = look(on_white(ellipse(long=13, short=7))).objects
    assert (seen.shape, seen.colour) == (None, "red")


@pytest.mark.parametrize("shape", ["square", "triangle", "star", "cross", "heart"])
def test_a_shape_blurred_beyond_recognition_has_no_shape(shape):
    picture = blurred(on_white(coverage(shape, x=32, y=32, radius=10)), sigma=3)
    assert shape not in {seen.shape for seen in look(picture).objects}


def test_a_hollow_shape_is_not_that_shape():
    ring = coverage("circle", x=32, y=32, radius=14) - coverage("circle", x=32, y=32, radius=8)
    (seen,) = look(on_white(ring)).objects
    assert seen.shape is None


def test_half_a_shape_is_not_that_shape():
    half = coverage("heart", x=32, y=32, radius=14)
    half[:, :32] = 0
    (seen,) = look(on_white(half)).objects
    assert seen.shape != "heart"


@pytest.mark.parametrize("colour", [(139, 69, 19), (128, 128, 128), (40, 40, 40), (0, 255, 0), (255, 0, 255)])
def test_colours_outside_the_palette_have_no_name(colour):
    (seen,) = look(on_white(coverage("circle", x=32, y=32, radius=10), colour)).objects
    assert (seen.shape, seen.colour) == ("circle", None)


def test_a_patchwork_has_no_colour():
    rng = np.random.default_rng(13)
    picture = on_white(coverage("square", x=32, y=32, radius=14))
    picture[22:42, 22:42] = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert "red" not in {seen.colour for seen in look(picture).objects if seen.shape == "square"}


@pytest.mark.parametrize("radius", [4, 18.5, 24])
def test_objects_far_from_every_size_have_no_size(radius):
    (seen,) = look(on_white(coverage("circle", x=32, y=32, radius=radius))).objects
    assert seen.size is None


def test_a_spare_object_gains_no_facts():
    wanted = PlacedObject(shape="heart", colour="pink", size="small", x=16, y=32)
    spare = PlacedObject(shape="square", colour="green", size="large", x=48, y=32)
    description = SceneDescription(objects=(ObjectDescription(shape="heart", colour="pink", size="small"),))
    assert score(render(Scene(objects=(wanted, spare), background="white")), description).share == 0


def test_a_picture_of_everything_does_not_fulfil_captions():
    grid = [(x, y) for y in (11, 32, 53) for x in (11, 32, 53)]
    rng = np.random.default_rng(14)
    words = [(str(rng.choice(["star", "circle", "heart"])), str(rng.choice(list(COLOURS)))) for _ in grid]
    items = tuple(
        PlacedObject(shape=shape, colour=colour, size="small", x=x, y=y)
        for (shape, colour), (x, y) in zip(words, grid, strict=True)
    )
    picture = render(Scene(objects=items, background="white"))
    assert np.mean([score(picture, description).all_hold for description in WISHES]) == 0


def test_specks_are_not_objects():
    picture = on_white(coverage("circle", x=32, y=32, radius=10))
    picture[4:7, 4:7] = COLOURS["blue"]
    assert [seen.colour for seen in look(picture).objects] == ["red"]


def test_two_blobs_side_by_side_are_in_no_relation():
    share = np.roll(ellipse(long=5, short=11), -16, axis=1) + np.roll(ellipse(long=5, short=11), 16, axis=1)
    circle, square = (ObjectDescription(shape=shape, colour="blue") for shape in ("circle", "square"))
    (relation,) = score(on_white(share), SceneDescription(objects=(circle, square), relation="left of")).facts[-1:]
    assert relation.seen is None
