import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.shapes.render import coverage, render
from safelight.shapes.scene import PlacedObject, Scene
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, PICTURE_SIZE, SHAPES, SIZES
from shapes.worlds import drawn_scenes


@given(drawn_scenes(objects=1) | drawn_scenes(objects=2))
def test_a_picture_is_64_by_64_rgb_bytes(scene):
    picture = render(scene)
    assert (picture.shape, picture.dtype) == ((PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8)


@given(drawn_scenes(objects=1) | drawn_scenes(objects=2))
def test_the_border_is_the_ground(scene):
    picture = render(scene)
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (border == BACKGROUNDS[scene.background]).all()


@given(drawn_scenes(objects=1) | drawn_scenes(objects=2))
def test_every_object_shows_its_colour_at_its_centre(scene):
    picture = render(scene)
    assert all(tuple(picture[int(item.y), int(item.x)]) == COLOURS[item.colour] for item in scene.objects)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_scene_of_nothing_is_its_ground(background):
    assert (render(Scene(objects=(), background=background)) == BACKGROUNDS[background]).all()


def test_later_objects_lie_on_top():
    below, above = (PlacedObject(shape="circle", colour=name, size="large", x=32, y=32) for name in ("red", "blue"))
    assert tuple(render(Scene(objects=(below, above), background="white"))[32, 32]) == COLOURS["blue"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_its_own_mirror_image(shape):
    share = coverage(shape, x=32, y=32, radius=14)
    assert share == pytest.approx(share[:, ::-1])


@given(st.sampled_from(SHAPES), st.floats(24, 40), st.floats(24, 40))
def test_area_does_not_depend_on_place(shape, x, y):
    area = coverage(shape, x=x, y=y, radius=14).sum()
    assert area == pytest.approx(coverage(shape, x=32, y=32, radius=14).sum(), rel=0.05)


@given(st.sampled_from(SHAPES), st.sampled_from(sorted(SIZES.values())))
def test_a_shape_stays_within_its_radius(shape, radius):
    rows, columns = coverage(shape, x=32, y=32, radius=radius).nonzero()
    assert max(abs(rows + 0.5 - 32).max(), abs(columns + 0.5 - 32).max()) <= radius + 0.5


@given(st.sampled_from(SHAPES), st.floats(-10, 74), st.floats(-10, 74))
def test_a_shape_is_cut_off_at_the_edge_of_the_picture(shape, x, y):
    share = coverage(shape, x=x, y=y, radius=14)
    assert share.shape == (64, 64)
    assert 0 <= share.min() <= share.max() <= 1


def test_a_circle_covers_its_area():
    assert coverage("circle", x=32, y=32, radius=14).sum() == pytest.approx(np.pi * 14**2, rel=0.005)
