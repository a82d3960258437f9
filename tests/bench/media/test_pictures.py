"""Pictures are opened as what they are, and none is lost from sight, whatever looking at them comes to."""

import asyncio
import io
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.makers import make_config, make_requests, null_server, ran, run_of
from fakes.odd_server import GOOD, answer, odd_server, picture, saying
from safelight.bench.endpoints.videos import Videos
from safelight.bench.failures import Failure
from safelight.bench.load.checker import MOST_PICTURES
from safelight.bench.load.runner import StopSignal, run
from safelight.bench.media.pictures import FORMATS, inspect_picture
from safelight.bench.media.shape import Shape
from safelight.bench.media.videos import Frame
from safelight.bench.null_server import png_of
from safelight.bench.stats.metrics import compute_metrics
from safelight.cli.bench.display import warnings_about

SQUARES = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8))


def file_of(form):
    file = io.BytesIO()
    SQUARES.save(file, form)
    return file.getvalue()


FILES = {form: file_of(form) for form in FORMATS}


def failure(file, *, shape=Shape(), caption=None):  # noqa: B008 - frozen
    with pytest.raises(Failure) as caught:
        inspect_picture(file, shape=shape, stated_format=None, caption=caption)
    return caught.value.kind


@pytest.mark.parametrize("form", FORMATS)
def test_a_picture_of_a_usual_format_is_opened(form):
    assert inspect_picture(FILES[form], shape=Shape(48, 40), stated_format=form.lower()).digest


@pytest.mark.parametrize("form", ["BMP", "TIFF", "DDS"])
def test_a_picture_of_a_format_that_servers_do_not_answer_with_is_not_opened(form):
    assert failure(file_of(form)) == "damaged"


@given(form=st.sampled_from(FORMATS), data=st.data())
def test_a_picture_with_other_bytes_in_it_is_good_or_a_failure_and_no_error(form, data):
    file = bytearray(FILES[form])
    for at in data.draw(st.lists(st.integers(0, len(file) - 1), max_size=4)):
        file[at] = data.draw(st.integers(0, 255))
    with suppress(Failure):
        assert inspect_picture(bytes(file), shape=Shape(), stated_format=None).digest


def test_a_picture_that_is_too_small_to_be_scored_is_of_a_wrong_size():
    assert failure(png_of("a", 32, 32), caption="a red circle") == "wrong_size"


def test_an_answer_of_several_pictures_is_good_and_one_of_very_many_is_not():
    kinds = [
        ran(odd_server(saying(answer(picture(data=GOOD["data"] * count)))), make_requests(1)).records[0].failure
        for count in (MOST_PICTURES, MOST_PICTURES + 1)
    ]
    assert kinds == ["", "too_large"]


def broken(file, demuxer):
    raise ZeroDivisionError("a bug of ours")
    yield


def test_what_cannot_be_looked_at_for_a_reason_of_ours_is_counted_and_told():
    said = []
    done = ran(null_server(), make_requests(6), endpoint=Videos(), decode=broken, notify=said.append)
    assert done.unchecked == 6
    assert any("a bug of ours" in sentence for sentence in said)


def run_that_is_stopped_while_looking():
    """Return a run whose video takes long to decode, ended when it is said that it lasts, and what was said."""
    stop, said = StopSignal(), []

    def slow(file, demuxer):
        for number in range(300):
            yield Frame(pixels=np.full((8, 8, 3), number % 256, np.uint8), time_s=None)
            time.sleep(0.02)

    def notify(sentence):
        said.append(sentence)
        stop()

    async def main():
        async with null_server() as url:
            config = make_config(url, make_requests(3, shape=Shape()), endpoint=Videos(), decode=slow)
            return await run(config, stop=stop, notify=notify)

    return asyncio.run(main()), said


def test_looking_can_be_stopped_and_what_was_left_out_is_counted():
    done, said = run_that_is_stopped_while_looking()
    assert (done.unchecked, done.is_partial) == (3, True)
    assert "3 more requests; Ctrl-C" in said[0]


def test_requests_whose_pictures_nobody_looked_at_are_told():
    (sentence,) = warnings_about(compute_metrics(replace(run_of([1.0, 1.0, 1.0]), unchecked=2)))
    assert sentence.startswith("What came for 2 requests was not looked at, nor all of it saved")
