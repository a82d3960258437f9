import math

import msgspec
import pytest
from safelight.core.start import PictureStart

from safelight.core.adapter import NO_ADAPTERS, AdapterUse, ControlUse
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest

REQUEST = ImageRequest(
    id="one",
    model="shapes-large",
    prompt="a red circle",
    width=64,
    height=64,
    steps=25,
    guidance_scale=3.0,
    sampler="euler",
    seed=7,
    arrived_s=100.0,
)


def but(**changes):
    return msgspec.structs.replace(REQUEST, **changes)


def test_a_request_with_a_deadline_is_due_that_long_after_its_arrival():
    assert but(deadline_s=2.5).due_s == 102.5


def test_a_request_without_a_deadline_is_never_due():
    assert REQUEST.due_s == math.inf


@pytest.mark.parametrize(("guidance_scale", "denoiser_rows"), [(0.0, 1), (1.0, 1), (1.01, 2), (7.5, 2)])
def test_guidance_above_one_takes_a_second_denoiser_row(guidance_scale, denoiser_rows):
    assert but(guidance_scale=guidance_scale).denoiser_rows == denoiser_rows


def test_a_request_cannot_be_changed():
    with pytest.raises(AttributeError):
        REQUEST.seed = 8


def test_a_request_without_loras_has_the_empty_composition():
    assert REQUEST.composition == NO_ADAPTERS


def test_the_same_lora_twice_in_a_request_adds_up():
    outline = AdapterUse(name="outline", scale=0.5)
    assert but(loras=(outline, outline)).composition.uses == (AdapterUse(name="outline", scale=1.0),)


def test_a_request_holds_the_bytes_of_all_its_pictures_and_none_once_it_is_without_them():
    picture = Pixels(width=2, height=1, rgb=bytes(6))
    start = PictureStart(image=picture, mask=bytes(2))
    request = but(start=start, controls=(ControlUse(name="edges", scale=1.0, image=picture),))
    assert (request.held_bytes, request.without_pictures().held_bytes) == (14, 0)
