import hashlib
import json
import os
import threading

import numpy as np
import polars as pl
import pytest

from bench.makers import NOWHERE, dataset_options, sources_at
from safelight.bench.datasets.registry import load_dataset
from safelight.bench.errors import BadLoad
from safelight.bench.load.arrivals import ARRIVALS, arrival_process, arrive_at_rate, replay_at_speed
from safelight.bench.media.shape import Shape
from safelight.core.errors import SafelightError
from safelight.shapes.caption import parse
from safelight.traces.schema import SCHEMA

LINE = "Request(request_id='{0}', prompt='cat {0}', width=64, height=128, num_inference_steps=7, timestamp={0}.5, slo_ms=900.0)\n"  # noqa: E501 - one line of a file


@pytest.fixture
def file(tmp_path):
    def write(text, name="file"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_a_trace_gives_shapes_times_and_deadlines(file):
    loaded = load_dataset("trace", dataset_options(path=file("".join(map(LINE.format, range(3))))))
    assert [(request.due_s, request.deadline_s, request.shape) for request in loaded.requests] == [
        (number, 0.9, Shape(64, 128, None, 7)) for number in range(3)
    ]
    assert loaded.has_times


def test_a_trace_is_cut_and_never_repeated(file):
    path = file("".join(map(LINE.format, range(3))))
    assert len(load_dataset("trace", dataset_options(path=path, count=2)).requests) == 2
    assert len(load_dataset("trace", dataset_options(path=path, count=9)).requests) == 3


def test_one_side_on_the_command_line_is_over_both_of_a_trace(file):
    loaded = load_dataset("trace", dataset_options(path=file(LINE.format(1)), shape=Shape(32, None, None, 50)))
    assert loaded.requests[0].shape == Shape(32, None, None, 7)


def test_traces_may_be_several_files(file, tmp_path):
    file(LINE.format(1), "a.txt"), file(LINE.format(2), "b.txt"), file(LINE.format(3), "c")
    loaded = load_dataset("trace", dataset_options(path=f"{tmp_path}/*.txt,{tmp_path}/c"))
    assert [request.request_id for request in loaded.requests] == ["1", "2", "3"]


@pytest.mark.parametrize(("task", "extra"), [("i2i", {"strength": 0.5}), ("t2i", None)])
def test_a_strength_of_a_trace_goes_along_where_something_is_started_from(file, task, extra):
    path = file(json.dumps({"prompt": "a", "arrival_s": 0, "strength": 0.5}) + "\n")
    assert load_dataset("trace", dataset_options(path=path, task=task)).requests[0].extra == extra


def test_loras_of_a_trace_are_asked_for_unless_they_are_not_wanted(file):
    row = json.dumps({"prompt": "a", "arrival_s": 0, "loras": [{"name": "glow", "scale": 0.5}, None]})
    path = file(row + "\n")
    with_them, without = (
        load_dataset("trace", dataset_options(path=path, uses_adapters=uses)) for uses in (True, False)
    )
    assert [(use.name, use.scale) for use in with_them.requests[0].loras] == [("glow", 0.5)]
    assert any("does not tell" in note for note in with_them.notes)
    assert without.requests[0].loras == ()


@pytest.mark.parametrize(
    "line",
    [
        "Request(prompt='a', timestamp=-1.0)",
        "Request(prompt='a', timestamp=1e999)",
        "Request(prompt='a', slo_ms=-5.0)",
        "Request(prompt='a', width='wide')",
        "Request(prompt='a', width=__import__('os').getpid())",
        '{"prompt": "a", "arrival_s": NaN}',
        '{"prompt": "a", "task": 3}',
        "",
    ],
)
def test_a_trace_that_cannot_be_is_an_error_before_all_work(file, line):
    with pytest.raises(SafelightError):
        load_dataset("trace", dataset_options(path=file(line + "\n")))


def test_shapes_are_captions_and_of_the_size_of_scenes():
    loaded = load_dataset("shapes", dataset_options())
    assert loaded.is_of_scenes
    assert all(parse(request.prompt).objects for request in loaded.requests)
    assert {(request.shape.width, request.shape.height) for request in loaded.requests} == {(64, 64)}


def test_shapes_have_both_sides_where_one_is_told():
    loaded = load_dataset("shapes", dataset_options(shape=Shape(height=96)))
    assert {(request.shape.width, request.shape.height) for request in loaded.requests} == {(96, 96)}


def test_shapes_that_are_too_small_to_be_scored_are_refused():
    with pytest.raises(BadLoad, match="64 or more"):
        load_dataset("shapes", dataset_options(shape=Shape(63, 64)))


def test_random_requests_follow_their_weights():
    profiles = json.dumps([{"width": 64, "height": 64, "weight": 3}, {"width": 128, "height": 64, "weight": 1}])
    loaded = load_dataset("random", dataset_options(count=2000, profiles=profiles))
    assert sum(request.shape.width == 64 for request in loaded.requests) == pytest.approx(1500, abs=80)


def test_equal_seeds_draw_equal_requests():
    profiles = json.dumps([{"width": 64, "height": 64}, {"width": 128, "height": 64}])
    draws = [
        load_dataset("random", dataset_options(count=50, profiles=profiles, rng=np.random.default_rng(3))).requests
        for _ in "ab"
    ]
    assert draws[0] == draws[1]


DEEP = "[" * 100_000 + "]" * 100_000
RATHER_DEEP = "[" * 900 + "]" * 900


@pytest.mark.parametrize(
    "profiles",
    [
        *("{}", "[]", "[1]", '[{"weight": -1}]', '[{"weight": 0}]', '[{"weight": 1e308}, {"weight": 1e308}]'),
        *('[{"wdth": 3}]', "[", '[{"width": -64}]', '[{"num_inference_steps": 0}]', f'[{{"prompt": {DEEP}}}]'),
    ],
)
def test_profiles_that_cannot_be_are_refused(profiles):
    with pytest.raises(BadLoad, match="--random-request-config"):
        load_dataset("random", dataset_options(profiles=profiles))


def test_prompts_are_cycled(file):
    loaded = load_dataset("prompts", dataset_options(path=file("a\n\nb\n"), count=3))
    assert [request.prompt for request in loaded.requests] == ["a", "b", "a"]


def test_prompts_as_json_carry_their_options_and_all_else_into_the_request(file):
    row = {"prompt": "a", "width": 32, "height": 16, "slo_ms": 500, "seed": 0, "quality": "low"}
    (request,) = load_dataset("custom", dataset_options(path=file(json.dumps(row)), count=1)).requests
    assert (request.shape, request.deadline_s, request.seed, request.extra) == (
        Shape(32, 16, None, 50),
        0.5,
        0,
        {"quality": "low"},
    )


@pytest.mark.parametrize(
    "field",
    [
        *('"slo_ms": 0', '"slo_ms": -5', '"slo_ms": NaN', '"width": -64', '"height": 0', '"num_inference_steps": -3'),
        *('"num_frames": 0', '"fps": -1', f'"width": {2**31}', f'"seed": {2**63}'),
        *(f'"quality": {DEEP}', f'"quality": {RATHER_DEEP}'),
    ],
    ids=lambda field: f"{field[:20]} {len(field)}",
)
def test_prompts_with_options_that_cannot_be_are_told_by_their_line(file, field):
    with pytest.raises(BadLoad, match=r"Line 2 of .*rows"):
        load_dataset("custom", dataset_options(path=file(f'{{"prompt": "a"}}\n{{"prompt": "a", {field}}}\n', "rows")))


@pytest.fixture
def row(tmp_path):
    """Writes a trace of a good request and another one; Parquet is not looked through when it is opened."""

    def write(name, value):
        path = tmp_path / "t.parquet"
        frame = pl.DataFrame(
            {"request_id": ["good", "bad"], name: [None, value]}, schema_overrides={name: SCHEMA[name]}
        )
        frame.write_parquet(path)
        return str(path)

    return write


UNFIT = [
    *(("deadline_s", 0.0), ("deadline_s", -1.0), ("deadline_s", np.inf), ("deadline_s", np.nan)),
    *(("width", 0), ("height", -1), ("steps", -3), ("frames", -1), ("fps", -1)),
    *(("guidance_scale", np.nan), ("strength", np.inf), ("loras", [{"name": "glow", "scale": np.nan}])),
]


@pytest.mark.parametrize(("name", "value"), UNFIT)
def test_a_row_of_a_trace_that_cannot_be_sent_is_told_by_its_request(row, name, value):
    with pytest.raises(BadLoad, match=r"Request 'bad' of .*t\.parquet.* must be"):
        load_dataset("trace", dataset_options(path=row(name, value)))


def test_rows_that_cannot_be_sent_can_be_left_out(row):
    loaded = load_dataset("trace", dataset_options(path=row("width", -1), is_lenient=True))
    assert [request.request_id for request in loaded.requests] == ["good"]
    assert "left out 1 requests that cannot be sent" in loaded.notes


def test_vbench_reads_texts_lists_and_folders(file, tmp_path):
    listed = file(json.dumps([{"prompt_en": "c", "dimension": []}]), "all.json")
    file("a\nb\n", "one.txt")
    assert [request.prompt for request in load_dataset("vbench", dataset_options(path=listed, count=1)).requests] == [
        "c"
    ]
    assert [
        request.prompt for request in load_dataset("vbench", dataset_options(path=str(tmp_path), count=2)).requests
    ] == ["a", "b"]


def test_files_are_known_by_their_sha256(file):
    path = file("a cat\n")
    for dataset in ("prompts", "vbench"):
        assert load_dataset(dataset, dataset_options(path=path)).sha256 == hashlib.sha256(b"a cat\n").hexdigest()
    assert load_dataset("random", dataset_options()).sha256 is None


def test_a_pipe_is_read_only_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("a cat\n",))
    writer.start()
    loaded = load_dataset("prompts", dataset_options(path=str(pipe)))
    writer.join()
    assert (loaded.requests[0].prompt, loaded.sha256) == ("a cat", None)


@pytest.mark.parametrize("dataset", ["trace", "vbench", "prompts"])
def test_no_dataset_stands_in_for_a_file_that_is_not_to_be_had(dataset, tmp_path):
    with pytest.raises(BadLoad, match="--dataset-path"):
        load_dataset(dataset, dataset_options(sources=sources_at(NOWHERE, tmp_path)))


def test_an_unknown_dataset_is_told_with_the_nearest():
    with pytest.raises(BadLoad, match="did you mean 'shapes'"):
        load_dataset("shape", dataset_options())


@pytest.mark.parametrize("name", [name for name in ARRIVALS if name != "trace"])
def test_arrivals_have_their_rate_begin_at_once_and_depend_on_the_seed_alone(name):
    requests = load_dataset("random", dataset_options(count=4000)).requests
    process = arrival_process(name)
    first, again = (arrive_at_rate(requests, process, 10.0, rng=np.random.default_rng(5)) for _ in "ab")
    assert first == again
    assert first[0].due_s == 0.0
    assert len(first) / first[-1].due_s == pytest.approx(10.0, rel=0.5 if name == "bursty" else 0.15)


def test_an_infinite_rate_sends_all_at_once():
    requests = arrive_at_rate(
        load_dataset("random", dataset_options()).requests, arrival_process("poisson"), np.inf, rng=None
    )
    assert {request.due_s for request in requests} == {0.0}


def test_lines_may_begin_with_a_byte_order_mark_and_have_whole_numbers_as_pandas_writes_them(file):
    row = '{"prompt": "a", "width": 64.0, "height": 32.0}'
    (request,) = load_dataset("custom", dataset_options(path=file(f"\ufeff{row}\n"), count=1)).requests
    assert (request.prompt, request.shape.size) == ("a", "64x32")


def test_custom_is_lines_of_json_and_nothing_else(file):
    with pytest.raises(BadLoad, match="Line 1"):
        load_dataset("custom", dataset_options(path=file("a cat\n")))


def test_a_trace_may_pass_faster(file):
    requests = load_dataset("trace", dataset_options(path=file(LINE.format(1) + LINE.format(3)))).requests
    assert [request.due_s for request in replay_at_speed(requests, 4.0)] == [0.0, 0.5]
    with pytest.raises(BadLoad, match="--speed"):
        replay_at_speed(requests, float("nan"))


def test_rows_that_name_files_which_are_no_pictures_are_refused_and_not_sent(file):
    row = {"prompt": "a", "image_paths": ["/etc/hosts"]}
    with pytest.raises(BadLoad, match="no PNG, JPEG or WebP picture"):
        load_dataset("custom", dataset_options(path=file(json.dumps(row))))
