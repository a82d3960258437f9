"""The scene score against scenes whose truth is known."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from safelight.core.errors import InvalidParameter
from safelight.shapes.looking import ObjectSeen, SceneSeen, look
from safelight.shapes.render import coverage, render
from safelight.shapes.scene import ObjectDescription, PlacedObject, Scene, SceneDescription
from safelight.shapes.score import judge, score
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, SHAPES, SIZES
from shapes.worlds import DEGRADED, blurred, drawn_scenes, facts_of_own_captions, scenes, share_that_holds, to_picture

RENDERED_SHARE = 0.998
DEGRADED_SHARE = 0.98

TWO = Scene(
    objects=(
        PlacedObject(shape="star", colour="yellow", size="small", x=16, y=32),
        PlacedObject(shape="square", colour="blue", size="large", x=48, y=32),
    ),
    background="gray",
    relation="left of",
)


def failing(picture, description):
    return [fact.name for fact in score(picture, description).facts if not fact.holds]


def other(words, word):
    return st.sampled_from([another for another in words if another != word])


@pytest.mark.parametrize("objects", [1, 2])
def test_it_agrees_with_the_truth_of_rendered_scenes(objects):
    facts = facts_of_own_captions(scenes(300, objects=objects, seed=objects), lambda picture: picture)
    assert share_that_holds(facts) >= RENDERED_SHARE


@pytest.mark.parametrize("name", DEGRADED)
def test_it_forgives_what_a_painter_blurs(name):
    rng = np.random.default_rng(8)
    drawn = [*scenes(40, objects=1, seed=3), *scenes(80, objects=2, seed=4)]
    assert (
        share_that_holds(facts_of_own_captions(drawn, lambda picture: DEGRADED[name](picture, rng))) >= DEGRADED_SHARE
    )


def test_it_agrees_with_the_truth_about_other_captions():
    drawn = list(scenes(150, objects=2, seed=5))
    agreed = [
        seen == true
        for scene, asked in pairwise(drawn)
        for seen, true in zip(
            score(render(scene), asked.description).facts, judge(truth(scene), asked.description).facts, strict=True
        )
    ]
    assert np.mean(agreed) >= RENDERED_SHARE


def truth(scene):
    """What a perfect eye would see."""
    items = [(item, coverage(item.shape, x=item.x, y=item.y, radius=SIZES[item.size]).sum()) for item in scene.objects]
    objects = (
        ObjectSeen(
            shape=item.shape,
            colour=item.colour,
            size=item.size,
            x=item.x,
            y=item.y,
            area=area,
            radius=SIZES[item.size],
            overlap=1.0,
        )
        for item, area in sorted(items, key=lambda pair: -pair[1])
    )
    return SceneSeen(objects=tuple(objects), background=scene.background)


@given(drawn_scenes(objects=1) | drawn_scenes(objects=2))
def test_centres_are_seen_to_a_tenth_of_a_pixel(scene):
    seen = {(round(item.x), round(item.y)): item for item in look(render(scene)).objects}
    for item in scene.objects:
        nearest = min(seen.values(), key=lambda found: np.hypot(found.x - item.x, found.y - item.y))
        assert (nearest.x, nearest.y) == pytest.approx((item.x, item.y), abs=0.1)


@settings(max_examples=30)
@given(st.data(), drawn_scenes(objects=1) | drawn_scenes(objects=2))
def test_a_wrong_colour_fails_exactly_the_colour(data, scene):
    first, *rest = scene.description.objects
    description = replace(
        scene.description, objects=(replace(first, colour=data.draw(other(COLOURS, first.colour))), *rest)
    )
    assert failing(render(scene), description) == ["object 1 colour"]


@settings(max_examples=30)
@given(st.data(), drawn_scenes(objects=1) | drawn_scenes(objects=2))
def test_a_wrong_shape_fails_exactly_the_shape(data, scene):
    first, *rest = scene.description.objects
    description = replace(
        scene.description, objects=(replace(first, shape=data.draw(other(SHAPES, first.shape))), *rest)
    )
    assert failing(render(scene), description) == ["object 1 shape"]


@settings(max_examples=30)
@given(st.data(), drawn_scenes(objects=1) | drawn_scenes(objects=2))
def test_a_wrong_size_fails_exactly_the_size(data, scene):
    first, *rest = scene.description.objects
    description = replace(scene.description, objects=(replace(first, size=data.draw(other(SIZES, first.size))), *rest))
    assert failing(render(scene), description) == ["object 1 size"]


@settings(max_examples=20)
@given(st.data(), drawn_scenes(objects=1) | drawn_scenes(objects=2))
def test_a_wrong_ground_fails_exactly_the_ground(data, scene):
    description = replace(scene.description, background=data.draw(other(BACKGROUNDS, scene.background)))
    assert failing(render(scene), description) == ["background"]


@settings(max_examples=20)
@given(drawn_scenes(objects=2))
def test_a_wrong_relation_fails_exactly_the_relation(scene):
    description = replace(scene.description, relation="above" if scene.relation == "left of" else "left of")
    assert failing(render(scene), description) == ["relation"]


def test_objects_in_each_others_place_fail_exactly_the_relation():
    description = replace(TWO.description, objects=TWO.description.objects[::-1])
    assert failing(render(TWO), description) == ["relation"]


@pytest.mark.parametrize("kept", [0, 1])
def test_a_missing_object_loses_its_facts_and_the_relation(kept):
    lost = 2 - kept
    names = [f"object {lost} shape", f"object {lost} colour", f"object {lost} size", "relation"]
    assert failing(render(replace(TWO, objects=(TWO.objects[kept],))), TWO.description) == names


def test_facts_say_what_was_wanted_and_what_is_seen():
    description = SceneDescription(objects=(ObjectDescription(shape="heart", colour="red"),))
    told = [(fact.name, fact.wanted, fact.seen) for fact in score(render(TWO), description).facts]
    assert told == [("object 1 shape", "heart", "square"), ("object 1 colour", "red", "blue")]


def test_only_what_the_caption_says_is_judged():
    description = SceneDescription(objects=(ObjectDescription(shape="square"),))
    assert [fact.name for fact in score(render(TWO), description).facts] == ["object 1 shape"]


def test_a_caption_that_says_nothing_is_fulfilled():
    result = score(render(TWO), SceneDescription())
    assert (result.facts, result.share, result.all_hold) == ((), 1.0, True)


def test_the_share_counts_facts_that_hold():
    description = replace(TWO.description, background="white", relation="above")
    result = score(render(TWO), description)
    assert (result.share, result.all_hold) == (6 / 8, False)


def test_objects_that_touch_are_told_apart_by_colour():
    touching = replace(TWO, objects=(replace(TWO.objects[0], x=29.5, y=33), TWO.objects[1]))
    assert score(render(touching), touching.description).all_hold


def test_a_narrow_gap_between_objects_of_one_colour_is_seen():
    left, right = (PlacedObject(shape="square", colour="blue", size="large", x=x, y=32) for x in (18, 44))
    near = Scene(objects=(left, replace(right, x=18 + 2 * 0.88 * 14 + 1.4)), background="beige", relation="left of")
    assert score(blurred(render(near), sigma=0.5), near.description).all_hold


def test_uneven_paint_does_not_cut_an_object_in_two():
    share = coverage("cross", x=32, y=32, radius=14)[..., None]
    paint = np.linspace(0, 1, 64)[:, None, None] * np.array([5, 45, 15]) + np.array([243, 125, 25])
    picture = to_picture(np.array(BACKGROUNDS["black"]) * (1 - share) + paint * share)
    assert [seen.shape for seen in look(picture).objects] == ["cross"]


@pytest.mark.parametrize("shape", ["triangle", "cross", "heart", "square"])
def test_a_slight_tilt_is_forgiven(shape):
    share = ndimage.rotate(coverage(shape, x=32, y=32, radius=12), 5, reshape=False, order=1)[..., None]
    picture = to_picture(np.array(BACKGROUNDS["white"]) * (1 - share) + np.array(COLOURS["green"]) * share)
    assert [seen.shape for seen in look(picture).objects] == [shape]


@pytest.mark.parametrize("off", [-0.5, 0.5])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_half_a_pixel_of_radius_is_forgiven(shape, size, off):
    share = coverage(shape, x=32.3, y=31.6, radius=SIZES[size] + off)[..., None]
    picture = to_picture(np.array(BACKGROUNDS["beige"]) * (1 - share) + np.array(COLOURS["pink"]) * share)
    description = SceneDescription(
        objects=(ObjectDescription(shape=shape, colour="pink", size=size),), background="beige"
    )
    assert score(picture, description).all_hold


@pytest.mark.parametrize(("height", "width"), [(128, 128), (96, 96), (100, 100)])
def test_a_larger_picture_is_scored_as_the_scene_it_shows(height, width):
    rows, columns = (np.arange(length) * 64 // length for length in (height, width))
    assert score(render(TWO)[rows][:, columns], TWO.description).share >= 7 / 8


def test_a_wider_picture_keeps_its_proportions():
    ground = np.broadcast_to(np.array(BACKGROUNDS["gray"], np.uint8), (64, 16, 3))
    assert score(np.concatenate([ground, render(TWO), ground], axis=1), TWO.description).all_hold


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((63, 64, 3), np.uint8),
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3)),
    ],
    ids=["too small", "gray", "with alpha", "floats"],
)
def test_what_is_no_picture_of_a_scene_is_refused(picture):
    with pytest.raises(InvalidParameter, match="picture is"):
        score(picture, TWO.description)
