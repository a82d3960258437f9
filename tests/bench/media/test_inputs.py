"""What requests start from: found, told apart, shared, and sent so that servers read it."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from bench.makers import dataset_options, make_requests, ran
from fakes.noting_server import noting_server
from safelight.bench.datasets.registry import load_dataset
from safelight.bench.endpoints.chat import Chat
from safelight.bench.endpoints.compatibility import check_compatible
from safelight.bench.endpoints.edits import Edits
from safelight.bench.endpoints.endpoint import RequestOptions
from safelight.bench.endpoints.generations import Generations
from safelight.bench.endpoints.registry import ENDPOINTS, endpoint_for
from safelight.bench.endpoints.videos import Videos
from safelight.bench.errors import BadLoad
from safelight.bench.media.inputs import Input, InputReader, input_of
from safelight.bench.report.request_log import write_log
from safelight.bench.requests import RequestedAdapter


def picture(kind, image):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


FILES = {
    "a.png": picture("PNG", Image.new("RGB", (16, 16), "teal")),
    "b.jpg": picture("JPEG", Image.new("RGB", (16, 16), "navy")),
    "c.webp": picture("WEBP", Image.new("RGB", (16, 16), "plum")),
    "v.mp4": b"\0\0\0\x18ftypisom\0\0\0\0isommp42 a video",
    "w.mov": b"\0\0\0\x14ftypqt  \0\0\0\0qt   a video",
}
KINDS = {
    "a.png": "image/png",
    "b.jpg": "image/jpeg",
    "c.webp": "image/webp",
    "v.mp4": "video/mp4",
    "w.mov": "video/quicktime",
}
ADDRESS = "https://pictures.example/a.png"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    for name, content in FILES.items():
        (tmp_path / "data" / name).write_bytes(content)
    return tmp_path / "data"


@pytest.fixture
def jsonl(folder):
    def write(*rows):
        path = folder / "rows.jsonl"
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps({"prompt": "p"} | row) for row in rows))
        return load_dataset("custom", dataset_options(path=str(path), count=len(rows))).requests

    return write


@pytest.fixture
def omni(folder):
    def write(*lines):
        path = folder / "trace.txt"
        path.write_text("".join(f"Request(prompt='p', {line})\n" for line in lines))
        return load_dataset("trace", dataset_options(path=str(path), count=len(lines))).requests

    return write


def default_inputs(*names):
    return [input_of(FILES[name], name) for name in names]


def sent(requests, endpoint, **options):
    """Return what a server gets."""
    seen = []
    done = ran(noting_server(seen), requests, endpoint=endpoint, options=RequestOptions(**options))
    assert [record.failure for record in done.records] == [""] * len(requests)
    return seen


def data_url(name):
    return f"data:{KINDS[name]};base64,{base64.b64encode(FILES[name]).decode()}"


@pytest.mark.parametrize("name", FILES)
def test_what_a_file_is_is_told_by_its_content(folder, name):
    (folder / "file").write_bytes(FILES[name])
    (found,) = InputReader().read(["file"], folder=folder, location="line 1")
    assert (found.media_type, found.content) == (KINDS[name], FILES[name])


def test_paths_are_beside_the_dataset_first_and_then_in_the_working_directory(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(FILES["b.jpg"])
    (tmp_path / "only-here").write_bytes(FILES["c.webp"])
    names = ["a.png", "only-here", str(folder / "b.jpg")]
    found = InputReader().read(names, folder=folder, location="line 1")
    assert [each.content for each in found] == [FILES["a.png"], FILES["c.webp"], FILES["b.jpg"]]


def test_requests_that_name_the_same_file_share_it(folder, omni):
    first, again = omni("image_path='a.png'", f"image_paths=['../{folder.name}/a.png']")
    assert first.inputs[0] is again.inputs[0]


def test_files_count_against_the_limit_once(folder):
    inputs = InputReader(most_bytes=len(FILES["a.png"]))
    inputs.read(["a.png", "./a.png"], folder=folder, location="line 1")
    with pytest.raises(BadLoad, match=r"line 2 names 'b.jpg', with which .* more than .* bytes; .*--num-prompts"):
        inputs.read(["b.jpg"], folder=folder, location="line 2")


def test_pictures_in_data_urls_are_decoded():
    (found,) = InputReader().read([data_url("b.jpg")], folder=None, location="line 1")
    assert (found.media_type, found.content) == ("image/jpeg", FILES["b.jpg"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.png", "there is no such file in '.*data' or in the working directory"),
        ("/none.png", "there is no such file"),
        (".", "there is no such file"),
        ("rows.jsonl", "no PNG, JPEG or WebP picture and no MP4 video"),
        ("a.avif", "no PNG, JPEG or WebP picture"),
        ("a\0b", "there is no such file"),
        ("data:image/png,abc", "no data URL in base64"),
        ("data:image/png;base64,?", "no base64"),
        ("data:text/plain;base64,aGVsbG8=", "no PNG, JPEG or WebP picture"),
        ("http://videos.example/v.MP4?x=1", "videos are sent as files"),
    ],
)
def test_what_cannot_be_started_from_is_told_with_its_line_and_file(jsonl, folder, name, said):
    (folder / "a.avif").write_bytes(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1")
    with pytest.raises(BadLoad, match=f"Line 3 of '.*rows.jsonl' names .*{said}"):
        jsonl({}, "", {"image_paths": [name]})


def test_a_request_of_a_trace_is_told_by_its_id(omni):
    with pytest.raises(BadLoad, match=r"Request 'r7' of '.*trace.txt' names 'none.png'"):
        omni("request_id='r7', image_path='none.png'")


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ({"image_paths": ["a.png", "b.jpg"]}, ["a.png", "b.jpg"]),
        ({"image_path": "a.png"}, ["a.png"]),
        ({"image_urls": ["a.png"]}, ["a.png"]),
        ({"image_urls": "a.png", "image_paths": None}, ["a.png"]),
        ({"video_paths": ["v.mp4"]}, ["v.mp4"]),
        ({"video_path": "v.mp4"}, ["v.mp4"]),
        ({"video_urls": ["v.mp4"]}, ["v.mp4"]),
        ({}, []),
    ],
)
def test_lines_of_json_name_what_they_start_from_in_each_of_the_ways_of_vllm_omni(jsonl, row, names):
    (request,) = jsonl(row)
    assert [each.content for each in request.inputs] == [FILES[name] for name in names]
    assert request.extra is None


def test_a_trace_names_what_its_requests_start_from_and_how_fast_videos_are(omni):
    still, moving = omni("image_paths=['a.png', 'b.jpg']", "video_path='v.mp4', fps=24")
    assert [each.content for each in still.inputs] == [FILES["a.png"], FILES["b.jpg"]]
    assert ([each.media_type for each in moving.inputs], moving.fps) == (["video/mp4"], 24)


def test_paths_are_beside_the_trace_that_names_them(tmp_path):
    for name, content in (("x", FILES["a.png"]), ("y", FILES["b.jpg"])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "start").write_bytes(content)
        (tmp_path / name / "t.txt").write_text("Request(prompt='p', image_path='start')\n")
    requests = load_dataset("trace", dataset_options(path=f"{tmp_path}/x/t.txt,{tmp_path}/y/t.txt")).requests
    assert [request.inputs[0].content for request in requests] == [FILES["a.png"], FILES["b.jpg"]]


def test_a_log_can_be_replayed_with_what_its_requests_start_from(jsonl, tmp_path):
    requests = jsonl({"image_paths": ["a.png", data_url("b.jpg")]}, {})
    done = ran(
        noting_server([]), requests, endpoint=Edits(), options=RequestOptions(default_inputs=default_inputs("c.webp"))
    )
    log = tmp_path / "elsewhere.jsonl"
    write_log([done], log, task="i2i", to_format="jsonl")
    again = load_dataset("trace", dataset_options(path=str(log))).requests
    assert [[each.content for each in request.inputs] for request in again] == [[FILES["a.png"], FILES["b.jpg"]], []]


def test_edits_carry_a_requests_own_pictures_as_what_they_are(omni):
    (noted,) = sent(omni("image_paths=['a.png', 'b.jpg', 'c.webp']"), Edits(), default_inputs=default_inputs("a.png"))
    assert [(each.name, each.kind, each.content) for each in noted.files] == [
        ("image[]", KINDS[name], FILES[name]) for name in ("a.png", "b.jpg", "c.webp")
    ]
    assert [each.file_name for each in noted.files] == ["0.png", "1.jpg", "2.webp"]


def test_requests_that_name_nothing_start_from_what_all_do(omni):
    seen = sent(omni("image_path='b.jpg'", "seed=1"), Edits(), default_inputs=default_inputs("a.png"))
    assert sorted(noted.files[0].kind for noted in seen) == ["image/jpeg", "image/png"]


def test_chat_shows_pictures_as_data_urls_and_passes_addresses_on(omni):
    (noted,) = sent(omni(f"image_paths=['b.jpg', '{ADDRESS}']"), Chat())
    text, *shown = noted.said["messages"][0]["content"]
    assert text == {"type": "text", "text": "p"}
    assert [each["image_url"]["url"] for each in shown] == [data_url("b.jpg"), ADDRESS]


@pytest.mark.parametrize("name", ["b.jpg", "v.mp4"])
@pytest.mark.parametrize("as_json", [False, True])
def test_videos_start_from_a_requests_own_file(omni, name, as_json):
    (noted,) = sent(
        omni(f"image_path='{name}'"), Videos(), default_inputs=default_inputs("a.png"), video_as_json=as_json
    )
    if as_json:
        assert noted.said["input_reference"] == data_url(name)
    else:
        (file,) = noted.files
        assert (file.name, file.kind, file.content) == ("input_reference", KINDS[name], FILES[name])


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize("as_json", [False, True])
def test_large_pictures_arrive_whole(endpoint, as_json):
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    large = input_of(picture("PNG", Image.fromarray(noise)), "large")
    assert len(large.content) > 1 << 20
    if large.kind not in endpoint.input_kinds:
        requests = make_requests(2, controlnets=(RequestedAdapter("edges"),))
        seen = sent(requests, endpoint, default_controlnet_image=large)
        assert {noted.said["controls"][0]["image"] for noted in seen} == {large.url}
        return
    seen = sent(make_requests(2, inputs=(large,)), endpoint, video_as_json=as_json)
    for noted in seen:
        content = noted.files[0].content if noted.files else base64.b64decode(find_url(noted.said).partition(",")[2])
        assert content == large.content


def find_url(said):
    return said.get("input_reference") or said["messages"][0]["content"][1]["image_url"]["url"]


CONTROLLED = {"controlnets": (RequestedAdapter("edges", 0.5), RequestedAdapter("depth"))}


def images(noted):
    controlnet_images = noted.said.get("controls") or noted.said["extra_body"]["controls"]
    return [
        each["image"]
        for each in (json.loads(controlnet_images) if isinstance(controlnet_images, str) else controlnet_images)
    ]


@pytest.mark.parametrize("endpoint", [Generations(), Chat()], ids=lambda endpoint: endpoint.name)
def test_control_nets_get_a_requests_own_picture_where_the_task_starts_from_none(endpoint):
    requests = make_requests(1, inputs=tuple(default_inputs("b.jpg")), **CONTROLLED)
    (noted,) = sent(requests, endpoint, default_controlnet_image=default_inputs("a.png")[0])
    assert images(noted) == [data_url("b.jpg")] * 2
    assert isinstance(noted.said.get("prompt") or noted.said["messages"][0]["content"], str)


@pytest.mark.parametrize("endpoint", [Edits(), Chat()], ids=lambda endpoint: endpoint.name)
def test_where_the_task_starts_from_a_picture_it_is_there_beside_the_control_pictures(endpoint):
    requests = make_requests(1, inputs=tuple(default_inputs("b.jpg")), **CONTROLLED)
    options = {
        "default_inputs": default_inputs("a.png"),
        "default_controlnet_image": default_inputs("a.png")[0],
        "controlnet_images": {"depth": default_inputs("c.webp")[0]},
    }
    (noted,) = sent(requests, endpoint, **options)
    assert images(noted) == [data_url("b.jpg"), data_url("c.webp")]
    if noted.files:
        assert [each.content for each in noted.files] == [FILES["b.jpg"]]
    else:
        assert noted.said["messages"][0]["content"][1]["image_url"]["url"] == data_url("b.jpg")


def test_control_nets_without_a_picture_of_the_request_get_the_first_of_all():
    (noted,) = sent(make_requests(1, **CONTROLLED), Generations(), default_controlnet_image=default_inputs("a.png")[0])
    assert images(noted) == [data_url("a.png")] * 2


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_a_lora_is_named_as_vllm_omni_reads_it_where_its_folder_is_told(endpoint):
    requests = make_requests(1, loras=(RequestedAdapter("glow", 0.5),))
    (noted,) = sent(
        requests,
        endpoint,
        lora_dir="/srv/loras",
        default_inputs=default_inputs("a.png") if endpoint.input_kinds else (),
    )
    fields = noted.said.get("extra_body", noted.said)
    lora = fields["lora"]
    assert (json.loads(lora) if isinstance(lora, str) else lora) == {
        "name": "glow",
        "scale": 0.5,
        "local_path": "/srv/loras/glow",
    }
    assert "loras" not in fields


@pytest.mark.parametrize(
    ("endpoint", "more", "options", "said"),
    [
        (
            Generations(),
            {"inputs": default_inputs("a.png")},
            {},
            "has no place for a picture; choose --endpoint /v1/chat",
        ),
        (Edits(), {"inputs": default_inputs("v.mp4")}, {}, "has no place for a video; choose --endpoint /v1/videos"),
        (Chat(), {"inputs": default_inputs("v.mp4")}, {}, "has no place for a video"),
        (Edits(), {"inputs": [Input(name=ADDRESS)]}, {}, "by its address; choose --endpoint /v1/chat/completions"),
        (Chat(), {"inputs": [Input(name=ADDRESS)]} | CONTROLLED, {}, "ControlNets need the picture itself"),
        (Videos(), {"inputs": default_inputs("a.png", "v.mp4")}, {}, "a picture and a video; name one"),
        (Generations(), {}, {"default_inputs": default_inputs("a.png")}, "The task starts from a picture"),
        (
            Generations(),
            CONTROLLED,
            {"controlnet_images": {"edgs": default_inputs("a.png")[0]}},
            "'edgs'.* did you mean 'edges'",
        ),
        (
            Chat(),
            {"loras": (RequestedAdapter("a"), RequestedAdapter("b"))},
            {"lora_dir": "/l"},
            "1 of 1 .* more than one LoRA .*--no-adapters",
        ),
        (Chat(), {"loras": (RequestedAdapter("../a"),)}, {"lora_dir": "/l"}, "named '../a'"),
        (Chat(), {"loras": (RequestedAdapter("/a"),)}, {"lora_dir": "/l"}, "named '/a'"),
    ],
)
def test_what_an_endpoint_has_no_place_for_is_told_before_all_work(endpoint, more, options, said):
    more = more | {"inputs": tuple(more.get("inputs", ()))}
    with pytest.raises(BadLoad, match=said):
        check_compatible(make_requests(1, **more), RequestOptions(**options), endpoint)


@pytest.mark.parametrize(("name", "notes"), [("/v1/videos", 1), ("/v1/images/edits", 0)])
def test_that_a_video_starts_from_the_first_of_several_pictures_is_told(name, notes):
    requests = make_requests(3, inputs=tuple(default_inputs("a.png", "b.jpg")))
    assert len(check_compatible(requests, RequestOptions(), endpoint_for("i2v", name))) == notes
