"""Videos are judged by their frames, which are decoded from files that may be anything."""

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.makers import FPS, VIDEO_SHAPE, make_frames, make_requests, make_video, null_server, ran
from fakes.odd_server import giving_video, odd_server
from safelight.bench.endpoints.videos import Videos
from safelight.bench.failures import Failure
from safelight.bench.media import decoding
from safelight.bench.media.containers import MOST_PARTS, MOST_SAMPLES, MOST_TABLE_BYTES
from safelight.bench.media.decoding import frames_of
from safelight.bench.media.quicktime import movie_of
from safelight.bench.media.shape import Shape
from safelight.bench.media.videos import NOT_DECODED, inspect_video
from safelight.bench.null_server import png_of, video_of
from safelight.bench.stats.metrics import compute_metrics

FORMS = {
    "h264": {},
    "mpeg4": {"codec": "mpeg4"},
    "fragments": {"movflags": "frag_keyframe+empty_moov"},
    "webm": {"form": "webm", "codec": "libvpx-vp9"},
    "avi": {"form": "avi", "codec": "mpeg4"},
    "gif": {"form": "gif", "codec": "gif"},
}
FILES = {name: make_video(make_frames(), **form) for name, form in FORMS.items()}
FILES["null server's"] = video_of("a", 64, 48, 6, FPS)

every_file = pytest.mark.parametrize("file", FILES.values(), ids=FILES)
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def seen(file, shape=VIDEO_SHAPE, fps=FPS):
    return inspect_video(file, shape=shape, fps=fps, decode=frames_of)


def failure(file, shape=VIDEO_SHAPE, fps=FPS):
    with pytest.raises(Failure) as caught:
        seen(file, shape, fps)
    assert caught.value.message
    return caught.value.kind


def with_words(file, kind, offset, *words):
    """Return a file that has other numbers so many bytes behind the name of a box."""
    at = file.index(kind) + offset
    return file[:at] + struct.pack(f">{len(words)}I", *words) + file[at + 4 * len(words) :]


@every_file
def test_a_video_as_asked_for_is_good(file):
    assert not seen(file).is_still
    assert seen(file) == seen(file, Shape(), None)


@pytest.mark.parametrize("name", [name for name in FILES if name != "fragments"])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_video_that_is_cut_short_anywhere_is_damaged(name, share):
    file = FILES[name]
    assert failure(file[: int(share * len(file))], Shape(), None) == "damaged"


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_video_that_is_cut_short_between_fragments_lacks_frames(share):
    file = FILES["fragments"]
    assert failure(file[: int(share * len(file))]) in {"damaged", "wrong_length"}


@every_file
def test_bytes_behind_a_video_are_damage(file):
    assert failure(file + b"\x00\x00\x01") == "damaged"


@every_file
@given(data=st.data())
def test_a_video_with_other_bytes_in_it_is_good_or_a_failure_and_no_error(file, data):
    changed = bytearray(file)
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(file) - 1), st.integers(0, 255)), max_size=9)):
        changed[at] = byte
    with suppress(Failure):
        seen(bytes(changed), Shape(), None)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\0\0\0\x18ftypisom", b"\x1aE\xdf\xa3", b"RIFF\0\0\0\0AVI ", b"GIF89a"]),
)
def test_what_is_no_video_is_damaged_however_it_begins(content, start):
    assert failure(start + content, Shape(), None) == "damaged"


@every_file
@pytest.mark.parametrize("decode", [None, frames_of])
def test_a_still_picture_is_no_video(file, decode):
    with pytest.raises(Failure, match="begin like no file of a video"):
        inspect_video(png_of("a", 64, 48), shape=VIDEO_SHAPE, fps=FPS, decode=decode)


@every_file
@given(st.tuples(st.integers(1, 99), st.integers(1, 99)).filter(lambda sides: sides != (64, 48)))
def test_another_size_than_was_asked_for_is_told(file, sides):
    assert failure(file, Shape(*sides, 6)) == "wrong_size"


@every_file
@given(st.integers(1, 99).filter(lambda frames: frames != VIDEO_SHAPE.frames))
def test_another_number_of_frames_than_was_asked_for_is_told(file, frames):
    assert failure(file, Shape(64, 48, frames)) == "wrong_length"


@every_file
@given(st.integers(1, 99).filter(lambda fps: fps != FPS))
def test_another_rate_than_was_asked_for_is_told(file, fps):
    assert failure(file, fps=fps) == "wrong_fps"


RATES = (8, 12, 15, 16, 24, 25, 30, 50, 60)


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("form", ["h264", "fragments", "webm", "avi"])
def test_usual_rates_are_told_from_one_another(form, fps):
    file = make_video(make_frames(), fps=fps, **FORMS[form])
    seen(file, fps=fps)
    assert {failure(file, fps=other) for other in RATES if other != fps} == {"wrong_fps"}


@pytest.mark.parametrize("form", [FORMS[name] for name in FORMS if name != "gif"])  # which has few colours
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (30, 200, 90), (128, 127, 129)])
def test_frames_of_one_colour_are_blank(form, colour):
    frames = np.zeros_like(make_frames()) + np.array(colour, np.uint8)
    assert failure(make_video(frames, **form)) == "blank"


def test_a_fade_from_black_to_white_shows_nothing():
    frames = np.zeros_like(make_frames()) + np.linspace(0, 255, 6).astype(np.uint8)[:, None, None, None]
    assert failure(make_video(frames)) == "blank"


def test_one_frame_with_something_on_it_is_enough_not_to_be_blank():
    frames = make_frames()
    frames[:-1] = 0
    assert not seen(make_video(frames)).is_still


@every_form
def test_other_frames_have_another_digest_and_another_container_has_not(form):
    inspects = {seen(make_video(make_frames(seed), **form)).digest for seed in (0, 0, 1, 2)}
    assert len(inspects) == 3


def test_the_same_frames_in_another_file_are_the_same_video():
    assert seen(FILES["h264"]).digest == seen(FILES["fragments"]).digest


@pytest.mark.parametrize("form", ["mpeg4", "webm"])
def test_frames_that_are_all_alike_are_a_still(form):
    frames = make_frames()
    frames[:] = frames[0]
    assert seen(make_video(frames, **FORMS[form]), Shape(64, 48)).is_still


def test_one_frame_is_a_video_and_no_still():
    file = make_video(make_frames(shape=Shape(64, 48, 1)))
    assert not seen(file, Shape(64, 48, 1)).is_still


def test_a_codec_that_is_not_on_the_list_is_named():
    with pytest.raises(Failure, match="codec, msmpeg4, is none of h264"):
        seen(make_video(make_frames(), form="avi", codec="msmpeg4"))


def test_a_file_of_sound_is_no_video():
    file = make_video(make_frames()).replace(b"vide", b"soun")
    assert failure(file) == "damaged"


@pytest.mark.parametrize(("told", "kind"), [(12_000, "too_large"), (8, "damaged")])
def test_frames_that_are_larger_than_any_are_not_decoded_whatever_their_file_tells(told, kind):
    huge = bytearray(png_of("a", 8, 8))
    huge[16:24] = struct.pack(">II", 12_000, 12_000)
    huge[29:33] = struct.pack(">I", zlib.crc32(huge[12:29]))
    assert failure(movie_of([bytes(huge)], width=told, height=told, fps=1), Shape(), None) == kind


def test_more_frames_than_any_video_has_are_not_decoded():
    file = movie_of([png_of("a", 2, 2)] * (decoding.MOST_FRAMES + 1), width=2, height=2, fps=240)
    assert failure(file, Shape(), None) == "too_large"


def test_no_more_frames_are_decoded_than_were_asked_for_and_one():
    taken = []

    def decode(file, demuxer):
        for frame in frames_of(file, demuxer):
            taken.append(frame)
            yield frame

    with pytest.raises(Failure, match="more than 2 frames"):
        inspect_video(video_of("a", 64, 48, 500, FPS), shape=Shape(64, 48, 2), fps=None, decode=decode)
    assert len(taken) == 3


@pytest.mark.parametrize(("name", "kind", "offset"), [("h264", b"stsz", 12), ("fragments", b"trun", 8)])
def test_a_file_that_claims_very_many_samples_is_not_opened(name, kind, offset):
    assert failure(with_words(FILES[name], kind, offset, MOST_SAMPLES + 1)) == "too_large"


@pytest.mark.parametrize(("name", "kind", "offset"), [("h264", b"stsz", 20), ("fragments", b"trun", 16)])
def test_a_file_that_claims_very_many_samples_in_a_box_of_a_long_size_is_not_opened(name, kind, offset):
    long = with_words(FILES[name], kind, -4, 1)
    assert failure(with_words(long, kind, offset, MOST_SAMPLES + 1)) == "too_large"


def test_a_file_of_tables_is_not_searched():
    free = struct.pack(">I4s", MOST_TABLE_BYTES, b"free") + bytes(MOST_TABLE_BYTES - 8)
    assert failure(FILES["h264"] + free, Shape(), None) == "too_large"


def test_a_file_of_very_many_parts_is_not_walked_through():
    assert failure(FILES["h264"] + b"\0\0\0\x08free" * MOST_PARTS, Shape(), None) == "too_large"


def test_a_table_of_contents_that_is_compressed_is_not_opened():
    assert failure(FILES["h264"].replace(b"udta", b"cmov"), Shape(), None) == "damaged"


def test_the_null_servers_videos_differ_by_prompt_and_are_as_asked_for():
    inspects = {seen(video_of(f"prompt {number}", 64, 48, 6, FPS)).digest for number in range(20)}
    assert len(inspects) == 20


ASKS = make_requests(3, shape=VIDEO_SHAPE, fps=FPS)


def run_of(server, requests=ASKS, **more):
    return ran(server, requests, endpoint=Videos(), **{"decode": frames_of} | more)


def test_videos_of_the_null_server_pass_from_end_to_end():
    said = []
    done = run_of(null_server(), warm_up_rounds=1, notify=said.append)
    assert [record.failure for record in done.records] == [""] * 3
    metrics = compute_metrics(done)
    assert (metrics["videos_decoded"], metrics["still_videos"]) == (True, 0)
    assert NOT_DECODED not in said


@pytest.mark.parametrize("shape", [Shape(), Shape(8, 8, 1), Shape(320, 200, 33)])
def test_videos_of_the_null_server_have_any_shape(shape):
    done = run_of(null_server(), make_requests(2, shape=shape))
    assert [record.failure for record in done.records] == ["", ""]


@pytest.mark.parametrize("shape", [Shape(64, 64, 1025), Shape(4096, 4096, 1024)])
def test_the_null_server_makes_no_video_that_is_too_large(shape):
    done = run_of(null_server(), make_requests(1, shape=shape))
    assert [record.failure for record in done.records] == ["refused_request"]


@pytest.mark.parametrize(
    ("file", "kinds"),
    [
        (FILES["h264"], ["", "repeated", "repeated"]),
        (FILES["h264"][:-9], ["damaged"] * 3),
        (video_of("a", 64, 64, 6, FPS), ["wrong_size"] * 3),
        (video_of("a", 64, 48, 5, FPS), ["wrong_length"] * 3),
        (video_of("a", 64, 48, 6, FPS + 1), ["wrong_fps"] * 3),
        (make_video(np.zeros_like(make_frames())), ["blank"] * 3),
    ],
    ids=["repeated", "damaged", "wrong_size", "wrong_length", "wrong_fps", "blank"],
)
def test_a_video_that_is_not_as_asked_for_is_no_success(file, kinds):
    done = run_of(odd_server(giving_video(file)))
    assert sorted(record.failure for record in done.records) == kinds


def test_videos_that_do_not_move_are_counted_and_are_no_failures():
    file = movie_of([png_of("a", 64, 48)] * 6, width=64, height=48, fps=FPS)
    metrics = compute_metrics(run_of(odd_server(giving_video(file)), ASKS[:1]))
    assert (metrics["completed_requests"], metrics["still_videos"]) == (1, 1)


def test_where_nothing_decodes_that_is_said_once_and_stands_in_the_figures():
    said = []
    done = run_of(null_server(), decode=None, notify=said.append)
    assert said.count(NOT_DECODED) == 1
    assert "safelight[video]" in NOT_DECODED
    assert compute_metrics(done)["videos_decoded"] is False


def test_where_nothing_decodes_a_file_that_is_cut_short_is_still_told():
    done = run_of(odd_server(giving_video(FILES["webm"][:-1])), decode=None)
    assert {record.failure for record in done.records} == {"damaged"}


def test_where_nobody_checks_nothing_is_said_of_decoding():
    said = []
    done = run_of(odd_server(giving_video(b"x")), decode=None, checks_pictures=False, notify=said.append)
    assert (said, compute_metrics(done)["videos_decoded"]) == ([], False)


def test_pictures_have_no_figures_of_videos():
    assert "videos_decoded" not in compute_metrics(ran(null_server(), make_requests(1)))
