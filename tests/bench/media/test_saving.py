"""What came is saved as what it is, and nothing that is there is lost for it."""

import os

import msgspec
import pytest

from bench.makers import make_frames, make_requests, make_video, null_server, ran
from fakes.odd_server import GOOD, answer, odd_server, picture, saying
from safelight.bench.endpoints.videos import Videos
from safelight.bench.load.checker import MOST_PICTURES, Checker
from safelight.bench.media.saving import MOST_NAME_CHARACTERS, MediaFolder, ending_of
from safelight.bench.null_server import png_of, video_of
from safelight.bench.records import GenerationResult, Record


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("file", "ending"),
    [
        (png_of("a", 8, 8), "png"),
        (b"\xff\xd8\xff\xe0 a JPEG", "jpg"),
        (b"RIFF\0\0\0\0WEBPVP8L", "webp"),
        (video_of("a", 64, 48, 2, 10), "mov"),
        (make_video(make_frames()), "mp4"),
        (make_video(make_frames(), form="webm", codec="libvpx-vp9"), "webm"),
        (make_video(make_frames(), form="matroska"), "mkv"),
        (make_video(make_frames(), form="avi", codec="mpeg4"), "avi"),
        (make_video(make_frames(), form="gif", codec="gif"), "gif"),
        (b"\0\0\0\x18ftypheic a picture", "heif"),
        (b"<script>", "bin"),
        (b"", "bin"),
    ],
)
def test_a_file_ends_as_what_it_begins_like(file, ending):
    assert ending_of(file) == ending


@pytest.mark.parametrize("told", ["html", "x" * 300])
def test_a_server_does_not_choose_how_files_are_called(tmp_path, told):
    ran(odd_server(saying(answer(picture(output_format=told)))), make_requests(2), save_to=tmp_path)
    assert names(tmp_path) == ["r0-0.png", "r1-0.png"]


def test_videos_are_saved_as_what_they_are(tmp_path):
    ran(null_server(), make_requests(1), endpoint=Videos(), checks_pictures=False, save_to=tmp_path)
    assert names(tmp_path) == ["r0-0.mov"]


def test_requests_whose_ids_give_the_same_name_have_a_file_each(tmp_path):
    requests = [
        msgspec.structs.replace(request, request_id=f"r{'/?:'[number]}")
        for number, request in enumerate(make_requests(3))
    ]
    ran(null_server(), requests, save_to=tmp_path)
    assert names(tmp_path) == ["r_-0.2.png", "r_-0.3.png", "r_-0.png"]


def test_a_second_run_into_a_folder_leaves_the_files_of_the_first(tmp_path):
    (tmp_path / "r0-0.png").write_bytes(b"of the first")
    ran(null_server(), make_requests(1), save_to=tmp_path)
    assert (tmp_path / "r0-0.png").read_bytes() == b"of the first"
    assert (tmp_path / "r0-0.2.png").read_bytes() == png_of("prompt 0", 64, 64)


def test_a_link_that_lies_in_the_folder_is_not_followed(tmp_path):
    (tmp_path / "r-0.bin").symlink_to(tmp_path / "elsewhere")
    MediaFolder(folder=tmp_path).save("r", 0, b"a")
    assert not (tmp_path / "elsewhere").exists()


def test_a_name_that_is_too_long_there_costs_its_own_file_only(tmp_path):
    """A path may have so many bytes."""
    room = os.pathconf(tmp_path, "PC_PATH_MAX") - 1 - len("/r0-0.png")
    folder = tmp_path
    while (left := room - len(str(folder))) > 1:
        folder /= "d" * min(200, left - 1)
    folder.mkdir(parents=True)
    media_folder = MediaFolder(folder=folder)
    for request_id in ("r" * MOST_NAME_CHARACTERS, "r0"):
        media_folder.save(request_id, 0, png_of("a", 8, 8))
    assert names(folder) == ["r0-0.png"]
    assert "too long" in media_folder.problem


def test_a_folder_that_is_not_there_is_told_once(tmp_path):
    said = []
    ran(null_server(), make_requests(3), save_to=tmp_path / "missing", notify=said.append)
    assert len(said) == 1
    assert "No such file" in said[0]


def test_after_trouble_that_all_files_would_have_nothing_more_is_saved(tmp_path):
    media_folder = MediaFolder(folder=tmp_path / "missing")
    media_folder.save("r0", 0, b"a")
    media_folder.folder.mkdir()
    media_folder.save("r1", 0, b"a")
    assert names(media_folder.folder) == []


def test_what_still_waits_when_it_is_stopped_is_not_saved(tmp_path):
    checker = Checker(inspects=False, media_folder=MediaFolder(folder=tmp_path))
    (request,) = make_requests(1)
    checker.put(
        Record(request=request, due_s=0.0, released_s=0.0, sent_s=0.0), GenerationResult(pictures=[b"a"], done_s=1.0)
    )
    checker.stop()
    checker.start()
    checker.finish()
    assert (checker.unchecked, checker.waiting, names(tmp_path)) == (1, 0, [])


def test_a_server_does_not_fill_the_folder_with_one_answer(tmp_path):
    many = picture(data=GOOD["data"] * (MOST_PICTURES + 9))
    ran(odd_server(saying(answer(many))), make_requests(1), save_to=tmp_path)
    assert len(names(tmp_path)) == MOST_PICTURES


def test_where_nobody_checks_what_cannot_be_saved_is_told_and_no_failure(tmp_path):
    said = []
    server = odd_server(saying(answer(picture(data=[{"b64_json": "???"}]))))
    done = ran(server, make_requests(1), save_to=tmp_path, checks_pictures=False, notify=said.append)
    assert done.records[0].is_success
    assert "r0 is no base64" in said[0]
