import pytest

from safelight.core.level import Level
from safelight.simulator.errors import BadScenario
from safelight.simulator.results.figures import RunKey
from safelight.simulator.running.preparing import prepare
from safelight.simulator.scenario.scenario import parse_scenario
from simulator.scenario.scenarios import SMALL, changed

INLINE = next(line for line in SMALL.splitlines() if line.startswith("profile = "))


def prepared(text, folder=None):
    """Return the only run of a scenario."""
    return prepare(parse_scenario(text), RunKey(policy="default", load=1.0, seed=0), policies=(), folder=folder)


def message_of(text, folder=None):
    with pytest.raises(BadScenario) as caught:
        prepared(text, folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("encode_s", "encod_s", ("models.m.profile.encod_s", "did you mean 'encode_s'")),
        ("encode_s = 0.1, ", "", ("models.m.profile.encode_s is missing",)),
        ("seconds = 0.4", "seconds = nan", ("models.m.profile.step_times[1].seconds is nan", "finite")),
        ("width = 64", "width = 0", ("models.m.profile", "pixel")),
        ("{ model", "{ format = 9, model", ("models.m.profile", "of format 9", "reads 1 and 2")),
        (
            'count = 2\nmodels = ["m"]',
            'count = 2\nmemory_bytes = 8e9\nmodels = ["m"]',
            ("fleet 'gpu': memory_bytes is 8 GB", "need 10 GB: 10 GB of m"),
        ),
    ],
)
def test_an_error_of_a_profile_names_the_key(old, new, said):
    text = changed("steps = 10", "steps = 10\nweights_bytes = 10e9")
    message = message_of(changed(old, new, text))
    assert [part for part in said if part not in message] == []


def test_a_profile_may_be_a_file_beside_the_scenario(tmp_path):
    inline = prepared(SMALL).simulation.workers
    table = INLINE.removeprefix("profile = {").removesuffix("}")
    lines, _, times = table.partition(" step_times")
    text = "\n".join([*lines.split(", "), f"step_times{times}"]).replace(",\nstep_times", "\nstep_times").rstrip()
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")
    from_file = prepared(changed(INLINE, 'profile = "m.toml"'), tmp_path).simulation.workers
    assert from_file == inline


def test_a_profile_may_be_a_built_in_one():
    (worker, _) = prepared(changed(INLINE, 'profile = "sdxl-h800"')).simulation.workers
    assert worker.models[0].profile.device == "NVIDIA H800"
    assert worker.max_denoiser_rows == 8
    assert worker.load_tiers.disk.s_per_byte == worker.models[0].profile.loads.disk.s_per_byte > 0


def test_a_built_in_profile_that_does_not_exist_has_a_nearest_one(tmp_path):
    message = message_of(changed(INLINE, 'profile = "sdxl-h80"'), tmp_path)
    assert "did you mean 'sdxl-h800'" in message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("count = 2", "count = 2\nmax_denoiser_rows = 16", "no measured call of 16 rows of 64x64; measured are 1 to 8"),
        ('model = "m"\n', 'model = "m"\nsizes = ["128x64"]\n', "no measured call of 2 rows of 128x64"),
        (
            "count = 2",
            "count = 2\nmax_denoiser_rows = 1",
            "is 1, and one picture of 'm' takes 2 rows",
        ),
    ],
)
def test_a_missing_point_of_a_profile_is_named(old, new, said):
    text = SMALL + new.removeprefix(old).lstrip("\n") + "\n" if old.startswith("model") else changed(old, new)
    assert said in message_of(text)


def test_an_error_in_a_profile_file_names_the_file_and_the_key(tmp_path):
    (tmp_path / "m.toml").write_text("model = 3\n", encoding="utf-8")
    message = message_of(changed(INLINE, 'profile = "m.toml"'), tmp_path)
    assert message == "models.m.profile is 'm.toml': model is 3; it must be a text."


def test_a_group_may_have_a_profile_of_its_own(tmp_path):
    text = changed('models = ["m"]', 'models = ["m"]\nprofiles = { m = "none.toml" }')
    assert "fleet 'gpu': profiles.m is 'none.toml'" in message_of(text, tmp_path)


def test_an_adapter_that_no_worker_can_hold_is_an_error():
    text = '[[adapters]]\nname = "a"\nmodel = "m"\ncount = 1\nrank = 300\n' + SMALL
    assert "fleet 'gpu' cannot hold an adapter: 'a-1' has rank 300" in message_of(text)


LORAS = '[[adapters]]\nname = "a"\nmodel = "m"\ncount = 1\nshare = 0.5\n'
COSTS = "{ switch_s = 0.1, unmerged_overhead = 0.1, correction_overhead = 0.1 }"


def test_work_that_no_figures_tell_is_said_to_take_no_time():
    assert prepared(SMALL).notes == ()
    known = changed("encode_s", f"adapter_costs = {COSTS}, encode_s")
    known = changed("count = 2", "count = 2\nload_tiers = { disk = { constant_s = 1 } }", known)
    assert prepared(LORAS + known).notes == ()
    said = " ".join(prepared(LORAS + SMALL).notes)
    assert "LoRAs of 'm' add no time to calls on 'gpu'" in said
    assert "Loads of adapters take no time on 'gpu'" in said


def test_workers_report_times_of_their_own_size_and_speed():
    text = changed("count = 2", "count = 2\nspeed = 2.0", changed("steps = 10", "steps = 10\nheight = 128"))
    text = changed("encode_s", f"extrapolates = true, mixes_sizes = true, adapter_costs = {COSTS}, encode_s", text)
    (worker, _) = prepared(text).simulation.workers
    spec, profile = worker.models[0].spec, worker.models[0].profile
    assert [time.seconds for time in spec.step_times] == [
        profile.tick_s(rows, width=64, height=128) / 2 for rows in (1, 8)
    ]
    assert (spec.encode_s, spec.decode_s, spec.adapter_costs.switch_s) == (0.05, 0.1, 0.05)
    assert spec.mixes_sizes


def test_memory_without_known_weights_is_an_error():
    assert "models.m.weights_bytes is missing" in message_of(changed("count = 2", "count = 2\nmemory_bytes = 8e9"))


def test_adapters_that_a_trace_does_not_name_are_said_to_be_left_out(tmp_path):
    (tmp_path / "t.jsonl").write_text(
        '{"arrival_s": 1.0, "loras": [null, {"scale": 1.0}]}\n{"arrival_s": 2.0, "loras": []}\n', encoding="utf-8"
    )
    text = SMALL[: SMALL.index("[workload.arrivals]")] + '[workload.trace]\npath = "t.jsonl"\n'
    said = ("1 of 2 requests use loras that the trace does not name; they run without these.",)
    assert prepared(text, tmp_path).notes == said
    assert prepared(text + 'replace = ["adapters"]\n', tmp_path).notes == ()


def test_qualities_of_unlike_metrics_are_said_to_be():
    metric = 'quality_metric = "FID", encode_s'
    text = changed("encode_s", metric) + "[models.n]\n" + INLINE.replace("encode_s", metric.replace("FID", "SSIM"), 1)
    text = changed('models = ["m"]', 'models = ["m", "n"]', text)
    assert prepared(changed("encode_s", metric)).quality_metric == "FID"
    assert "unlike metrics, whose mean means nothing: FID of 'm'; SSIM of 'n'" in prepared(text).quality_metric
    assert prepared(changed("steps = 10", "quality = 1.0", text)).quality_metric == "SSIM"


def test_deadlines_are_multiples_of_the_time_alone_on_the_fastest_worker():
    group = SMALL[: SMALL.index("[models.m]")].replace('"gpu"', '"fast"') + "speed = 2.0\n"
    requests = prepared("[deadlines]\nsolo_times = 3.0\n" + group + SMALL).simulation.requests
    profile_s = 0.1 + 0.1 + 10 * (0.1 + 0.3 / 7)
    assert next(iter(requests)).deadline_s == pytest.approx(3 * profile_s / 2)


def test_the_quality_of_a_level_is_that_of_its_model_and_steps():
    curve = "quality = [{ steps = 4, quality = 0.4 }, { steps = 12, quality = 0.8 }]"
    of_level = prepared(changed("steps = 10", f"steps = 10\n{curve}")).quality_of
    found = [of_level(Level(model="m", steps=steps, guidance_scale=1, sampler="euler")) for steps in (4, 8, 12, 13)]
    assert found == [0.4, pytest.approx(0.6), 0.8, None]


@pytest.mark.parametrize(
    ("costs", "kind", "added_s"),
    [
        ("adapter_costs = { switch_s = 0.2, unmerged_overhead = 0.5, correction_overhead = 0.5 }", "lora", 0.2),
        ("adapter_costs = { switch_s = 9.0, unmerged_overhead = 0.5, correction_overhead = 0.5 }", "lora", None),
        (
            "controlnet_times = [{ denoiser_rows = 1, seconds = 0.03 }, { denoiser_rows = 8, seconds = 0.03 }]",
            "controlnet",
            0.3,
        ),
    ],
)
def test_the_time_alone_has_that_of_adapters(costs, kind, added_s):
    steps_s = 10 * (0.1 + 0.3 / 7)
    added_s = 0.5 * steps_s if added_s is None else added_s
    adapters = f'[deadlines]\nsolo_times = 2.0\n[[adapters]]\nname = "a"\nmodel = "m"\nkind = "{kind}"\n'
    text = adapters + "count = 1\nshare = 1.0\n" + changed("encode_s = 0.1", f"encode_s = 0.1, {costs}")
    request = next(iter(prepared(text).simulation.requests))
    assert request.deadline_s == pytest.approx(2 * (0.2 + steps_s + added_s))


def test_the_time_alone_of_a_picture_from_a_picture_has_its_steps(tmp_path):
    row = '{"arrival_s": 0.0, "task": "image-to-image", "strength": 0.5, "base_model": "m"}\n'
    (tmp_path / "t.jsonl").write_text(row, encoding="utf-8")
    text = changed("encode_s = 0.1", "encode_s = 0.1, encode_picture_s = 0.4")
    text = text[: text.index("[workload.arrivals]")] + '[workload.trace]\npath = "t.jsonl"\n'
    request = next(iter(prepared("[deadlines]\nsolo_times = 1.0\n" + text, tmp_path).simulation.requests))
    assert request.deadline_s == pytest.approx(0.2 + 0.4 + 5 * (0.1 + 0.3 / 7))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [("width = 64", "width = 128", "own size"), ("encode_s = 0.1", 'encode_s = 0.1, quality_metric = "x"', "quality")],
)
def test_pictures_of_a_model_are_alike_in_all_groups(tmp_path, old, new, said):
    toml = INLINE.removeprefix("profile = {").removesuffix("}").replace(" step_times", "\nstep_times")
    head, _, times = toml.partition("\n")
    (tmp_path / "other.toml").write_text("\n".join([*head.replace(old, new).strip(" ,").split(", "), times]), "utf-8")
    group = '[[fleet]]\nname = "b"\ncount = 1\nmodels = ["m"]\nprofiles = { m = "other.toml" }\n'
    message = message_of(group + SMALL, tmp_path)
    assert f"profiles of fleet 'b' and fleet 'gpu' differ in the {said} of 'm'" in message


def test_adapters_that_no_request_can_have_are_an_error():
    text = '[[adapters]]\nname = "a"\nmodel = "n"\ncount = 1\nshare = 0.5\n' + SMALL
    text = text.replace('models = ["m"]', 'models = ["m", "n"]') + INLINE.join(["[models.n]\n", "\n"])
    assert "adapters[0].share counts for nothing, since no kind of [[workload.mix]] names 'n'" in message_of(text)
