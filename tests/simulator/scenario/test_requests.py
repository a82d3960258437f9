import json
from collections import Counter

import numpy as np
import polars as pl
import pytest

from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.arrivals import arrivals_of
from safelight.simulator.scenario.requests import RequestMaker
from safelight.simulator.scenario.scenario import parse_scenario
from safelight.traces.schema import conform
from simulator.scenario.scenarios import SMALL, changed

ADAPTERS = '[[adapters]]\nname = "style"\nmodel = "m"\ncount = 5\nshare = 0.5\n'
FROM_TRACE = '[[adapters]]\nname = "own"\nmodel = "m"\n'
TRACE = SMALL[: SMALL.index("[workload.arrivals]")] + '[workload.trace]\npath = "t.jsonl"\n'


def made(text, *, folder=None, load=1.0, seed=0):
    """Return all requests of a scenario."""
    scenario = parse_scenario(text)
    maker = RequestMaker(
        scenario, sizes=dict.fromkeys(scenario.served_names, (64, 64)), solo_s=lambda *level: 2.0, seed=seed
    )
    return list(maker.requests(arrivals_of(scenario.workload, folder=folder, load=load, seed=seed)))


@pytest.fixture
def trace(tmp_path):
    def write(*lines):
        (tmp_path / "t.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path

    return write


def test_a_seed_gives_the_same_requests_and_another_seed_others():
    text = ADAPTERS + SMALL
    assert made(text, seed=1) == made(text, seed=1)
    assert made(text, seed=1) != made(text, seed=2)


def test_requests_arrive_in_order_within_the_duration():
    times_s = [request.arrived_s for request in made(changed("rate_per_s = 1.0", "rate_per_s = 50.0"))]
    assert times_s == sorted(times_s)
    assert times_s[-1] < 20
    assert len(times_s) == pytest.approx(1000, rel=0.15)


def test_a_load_multiplies_the_rate():
    text = changed("duration_s = 20.0", "requests = 100")
    slow, fast = made(text), made(text, load=2.0)
    assert [each.arrived_s / 2 for each in slow] == pytest.approx([each.arrived_s for each in fast])


def test_arrivals_follow_a_rate_curve_and_a_load_multiplies_it():
    text = changed("duration_s = 20.0", "", changed("rate_per_s = 1.0", "rate_curve = [[0, 10.0], [100, 50.0]]"))
    times_s = np.array([request.arrived_s for request in made(text, load=2.0)])
    assert len(times_s) == pytest.approx(6000, rel=0.05)
    assert (times_s < 50).mean() == pytest.approx(1000 / 3000, abs=0.03)


@pytest.mark.parametrize("curve", ["[[0, 1.0]]", "[[0, 1.0], [5, 0.0], [5, 1.0]]", "[[0, 0.0], [9, 0.0]]"])
def test_a_rate_curve_that_cannot_be_is_an_error(curve):
    text = changed("duration_s = 20.0", "", changed("rate_per_s = 1.0", f"rate_curve = {curve}"))
    with pytest.raises(BadScenario, match="rate_curve"):
        parse_scenario(text)


def test_the_mix_is_drawn_by_its_shares():
    text = changed("duration_s = 20.0", "requests = 4000")
    text = (
        changed('model = "m"\n', 'model = "m"\nsteps = 4\n', text)
        + '\n[[workload.mix]]\nmodel = "m"\nshare = 3\nsteps = 8\n'
    )
    counts = Counter(request.steps for request in made(text))
    assert counts[8] / 4000 == pytest.approx(0.75, abs=0.03)


def test_steps_and_sizes_are_those_that_the_mix_names():
    text = changed("duration_s = 20.0", "requests = 300")
    text = changed('model = "m"\n', 'model = "m"\nsteps = { least = 4, most = 6 }\nsizes = ["64x64", "128x64"]\n', text)
    requests = made(text)
    assert {request.steps for request in requests} == {4, 5, 6}
    assert {(request.width, request.height) for request in requests} == {(64, 64), (128, 64)}


def test_adapters_are_as_popular_as_their_rank_says():
    text = ADAPTERS + changed("duration_s = 20.0", "requests = 8000")
    names = Counter(use.name for request in made(text) for use in request.loras)
    weights = np.arange(1, 6) ** -1.0
    expected = weights / weights.sum() * 4000
    assert [names[f"style-{rank}"] for rank in range(1, 6)] == pytest.approx(expected.tolist(), rel=0.15)


def test_several_adapters_of_a_request_are_different_ones():
    text = ADAPTERS + "per_request = 3\n" + changed("duration_s = 20.0", "requests = 200")
    counts = {len({use.name for use in request.loras}) for request in made(text)}
    assert counts == {0, 3}


@pytest.mark.parametrize(
    ("section", "deadline_s"),
    [("", None), ("[deadlines]\nseconds = 5.0\n", 5.0), ("[deadlines]\nsolo_times = 3.0\n", 6.0)],
)
def test_deadlines_are_seconds_or_multiples_of_the_solo_time(section, deadline_s):
    assert {request.deadline_s for request in made(section + SMALL)} == {deadline_s}


def test_what_a_trace_tells_is_kept(trace):
    folder = trace(
        '{"arrival_s": 100.0, "steps": 7, "width": 32, "height": 48, "deadline_s": 9, "seed": 5, "request_id": "x"}',
        '{"arrival_s": 103.0, "images": 2, "request_id": "y"}',
    )
    first, second, third = made(TRACE, folder=folder)
    assert (first.id, first.steps, first.width, first.height, first.deadline_s) == ("x", 7, 32, 48, 9.0)
    assert (second.id, third.id, second.arrived_s, third.arrived_s) == ("y", "y-1", 3.0, 3.0)
    assert second.steps is None


def test_more_steps_than_a_server_takes_are_an_error(trace):
    with pytest.raises(BadScenario, match="201 steps; a server takes at most 200"):
        made(TRACE, folder=trace('{"arrival_s": 1.0, "steps": 201}'))


@pytest.mark.parametrize(
    "row", [{"steps": -3}, {"deadline_s": -1.0}, {"strength": float("nan")}, {"guidance_scale": float("inf")}]
)
def test_a_number_of_a_table_that_cannot_be_is_an_error(row, tmp_path):
    pl.DataFrame({"arrival_s": [1.0], **{name: [value] for name, value in row.items()}}).write_parquet(
        tmp_path / "t.jsonl"
    )
    with pytest.raises(BadScenario, match=f"`{next(iter(row))}`"):
        made(TRACE, folder=tmp_path)


def test_a_row_for_no_picture_is_an_error(trace):
    with pytest.raises(BadScenario, match="'x' with `images` 0"):
        made(TRACE, folder=trace('{"arrival_s": 1.0, "request_id": "x", "images": 0}'))


def test_what_is_replaced_comes_from_the_scenario(trace):
    folder = trace('{"arrival_s": 1.0, "steps": 7, "base_model": "SDXL", "deadline_s": 9, "loras": [{"name": "a"}]}')
    text = TRACE + 'replace = ["steps", "model", "deadline", "adapters"]\n'
    (request,) = made(text, folder=folder)
    assert (request.steps, request.model, request.deadline_s, request.loras) == (None, "m", None, ())


def test_models_of_a_trace_are_renamed(trace):
    folder = trace('{"arrival_s": 1.0, "base_model": "SDXL"}')
    (request,) = made(TRACE + '[workload.models]\nSDXL = "m"\n', folder=folder)
    assert request.model == "m"


TWO_MODELS = (
    changed('models = ["m"]', 'models = ["m", "n"]', TRACE)
    + next(line for line in SMALL.splitlines() if line.startswith("profile =")).join(["[models.n]\n", "\n"])
    + '[[cascades]]\nname = "both"\nlight = "m"\nheavy = "n"\ndeferral = [[0.0, 0.0], [1.0, 1.0]]\n'
)


def test_a_row_of_an_outcome_log_asks_for_what_its_request_asked_for(trace):
    served = '"base_model": "n", "steps": 9, "guidance_scale": 3.0'
    folder = trace(
        f'{{"arrival_s": 1.0, {served}, "asked_model": "both", "asked_quality": "high"}}',
        f'{{"arrival_s": 1.0, {served}, "asked_model": "any", "asked_steps": 7}}',
        f'{{"arrival_s": 1.0, {served}, "asked_model": "n"}}',
    )
    asked = [(each.model, each.steps, each.guidance_scale, each.quality) for each in made(TWO_MODELS, folder=folder)]
    assert asked == [("both", None, None, "high"), (None, 7, None, "medium"), ("n", 9, 3.0, "medium")]


def test_pictures_of_a_trace_start_from_pictures(trace):
    folder = trace(
        '{"arrival_s": 1.0, "steps": 49, "task": "image-to-image", "strength": 0.5918367346938775}',
        '{"arrival_s": 1.0, "steps": 10, "task": "image-to-image"}',
        '{"arrival_s": 1.0, "steps": 10, "task": "inpainting"}',
        '{"arrival_s": 1.0, "steps": 10, "task": "text-to-image", "strength": 0.5}',
    )
    sources = [each.source and each.source.first_step(each.steps) for each in made(TRACE, folder=folder)]
    assert sources == [20, 2, 0, None]
    replaced = made(TRACE + 'replace = ["task"]\n', folder=folder)
    assert {each.source for each in replaced} == {None}


@pytest.mark.parametrize("video", ['"frames": 16', '"task": "text-to-video"'])
def test_a_video_is_refused_by_name(video, trace):
    with pytest.raises(BadScenario, match="'x' for a video"):
        made(TRACE, folder=trace(f'{{"arrival_s": 1.0, "request_id": "x", {video}}}'))


def test_an_unknown_model_of_a_trace_is_an_error(trace):
    folder = trace('{"arrival_s": 1.0, "base_model": "SDXL"}')
    with pytest.raises(BadScenario, match=r"'SDXL'.*workload\.models"):
        made(TRACE, folder=folder)


def test_adapters_of_a_trace_need_a_group(trace):
    folder = trace('{"arrival_s": 1.0, "loras": [{"name": "a", "scale": 0.5}]}')
    with pytest.raises(BadScenario, match="'a' for 'm'"):
        made(TRACE, folder=folder)
    (request,) = made(FROM_TRACE + TRACE, folder=folder)
    assert [(use.name, use.scale) for use in request.loras] == [("a", 0.5)]


def test_adapters_of_a_trace_without_a_model_are_an_error(trace):
    folder = trace('{"arrival_s": 1.0, "asked_model": "both", "loras": [{"name": "a"}]}')
    with pytest.raises(BadScenario, match="the lora 'a' for 'both'"):
        made(FROM_TRACE + TWO_MODELS, folder=folder)


def test_requests_like_those_of_katz_have_its_adapters():
    source = SMALL[: SMALL.index("[workload.arrivals]")] + '[workload.like]\ntrace = "katz-a"\nrequests = 500\n'
    text = FROM_TRACE + '[[adapters]]\nname = "net"\nkind = "controlnet"\nmodel = "m"\n' + source
    requests = made(text)
    assert len(requests) == 500
    assert any(request.loras for request in requests)
    assert any(request.controlnets for request in requests)


@pytest.mark.parametrize(
    ("lines", "said"),
    [(['{"steps": 3}'], "do not tell when"), (["nonsense"], "workload.trace")],
)
def test_a_trace_that_cannot_be_replayed_is_an_error(trace, lines, said):
    with pytest.raises(BadScenario, match=said):
        made(TRACE, folder=trace(*lines))


def test_a_trace_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(BadScenario, match=r"t\.jsonl"):
        made(TRACE, folder=tmp_path)


def test_a_trace_of_a_later_version_is_an_error(tmp_path):
    conform(pl.LazyFrame({"arrival_s": [1.0]})).collect().write_parquet(
        tmp_path / "t.jsonl", metadata={"safelight.trace": '{"version": 99, "source": "later"}'}
    )
    with pytest.raises(BadScenario, match=r"workload\.trace: .* is a trace of version 99"):
        made(TRACE, folder=tmp_path)


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([("a", 1), ("b", 2)], ["a", "b", "b-1"]),
        ([("a", 2), ("a-1", 1)], ["0", "0-1", "1"]),
        ([("1", 1), (None, 1)], ["0", "1"]),
    ],
)
def test_every_picture_has_an_id_of_its_own_whatever_the_trace_says(trace, ids, found):
    lines = [
        f'{{"arrival_s": {place}.0, "images": {images}' + ("}" if name is None else f', "request_id": "{name}"}}')
        for place, (name, images) in enumerate(ids)
    ]
    assert [request.id for request in made(TRACE, folder=trace(*lines))] == found


@pytest.mark.parametrize(
    "text",
    [
        changed("duration_s = 20.0", "duration_s = 1e9"),
        changed("duration_s = 20.0", "", changed("rate_per_s = 1.0", "rate_curve = [[0, 1.0], [1e9, 1.0]]")),
    ],
)
def test_more_requests_than_memory_has_room_for_are_an_error(text):
    with pytest.raises(BadScenario, match="at most 50,000,000"):
        made(text)


@pytest.mark.parametrize("name", ["steps", "width", "height"])
def test_a_trace_with_a_picture_of_nothing_is_an_error(trace, name):
    row = {"arrival_s": 1.0, "request_id": "r", "steps": 4, "width": 64, "height": 64, name: 0}
    with pytest.raises(BadScenario, match=f"the request 'r' with `{name}` 0"):
        made(TRACE, folder=trace(json.dumps(row)))


def test_no_load_changes_requests_that_arrive_at_once(trace):
    folder = trace('{"arrival_s": 1.0}', '{"arrival_s": 1.0}')
    assert [request.arrived_s for request in made(TRACE, folder=folder)] == [0.0, 0.0]
    with pytest.raises(BadScenario, match="all at once"):
        made(TRACE, folder=folder, load=2.0)
