import math

import pytest

from core.makers import REQUEST, a_request
from safelight.core.adapter import ControlNetUse, LoraUse
from safelight.core.pixels import Pixels
from safelight.core.source import PictureSource

PICTURE = Pixels(width=2, height=1, rgb=bytes(6))


def controlnet(name):
    return ControlNetUse(name=name, scale=1.0, image=PICTURE)


def test_a_request_with_a_deadline_is_due_that_long_after_its_arrival():
    assert a_request(deadline_s=2.5).due_s == 102.5


def test_a_request_without_a_deadline_is_never_due():
    assert REQUEST.due_s == math.inf


def test_a_request_cannot_be_changed():
    with pytest.raises(AttributeError):
        REQUEST.seed = 8


def test_a_request_names_each_of_its_adapters_once_and_controlnets_first():
    loras = tuple(LoraUse(name=name, scale=0.5) for name in ("outline", "pastel", "outline"))
    assert a_request(loras=loras, controlnets=(controlnet("edges"),)).adapters == ("edges", "outline", "pastel")


def test_a_request_holds_the_bytes_of_all_its_pictures():
    source = PictureSource(image=PICTURE, mask=bytes(2))
    assert a_request(source=source, controlnets=(controlnet("edges"),)).held_bytes == 14


def test_a_request_without_its_pictures_holds_no_bytes_and_says_that_there_were_some():
    source = PictureSource(image=PICTURE, mask=bytes(2), strength=0.5)
    emptied = a_request(source=source, controlnets=(controlnet("edges"),)).without_pictures()
    assert emptied.held_bytes == 0
    assert (emptied.source.mask, emptied.source.strength, emptied.adapters) == (b"", 0.5, ("edges",))


def test_a_request_that_has_no_pictures_is_itself_without_them():
    assert REQUEST.without_pictures() is REQUEST


@pytest.mark.parametrize(
    ("strength", "mask", "first_step"),
    [(None, None, 2), (None, b"", 0), (0.5, None, 5), (0.5, b"", 5), (1.0, None, 0), (0.0, None, 9), (0.39, None, 7)],
)
def test_a_picture_stands_for_the_share_of_steps_that_its_strength_leaves_out_and_one_is_always_run(
    strength, mask, first_step
):
    assert PictureSource(image=PICTURE, mask=mask, strength=strength).first_step(10) == first_step
