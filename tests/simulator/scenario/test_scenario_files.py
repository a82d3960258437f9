import msgspec
import pytest

from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.scenario import parse_scenario, read_scenario, variants_of
from simulator.scenario.scenarios import SMALL, changed


def message_of(text):
    with pytest.raises(BadScenario) as caught:
        parse_scenario(text)
    return str(caught.value)


def test_a_scenario_needs_a_fleet_models_and_a_workload():
    scenario = parse_scenario(SMALL)
    assert scenario.worker_names == ("gpu-1", "gpu-2")
    assert scenario.policies == {"default": ()}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("count = 2", "cuont = 2", ("fleet[0].cuont", "did you mean 'count'")),
        ("[[fleet]]", "[[fleets]]", ("fleets", "did you mean 'fleet'")),
        ("rate_per_s = 1.0", "rate = 1.0", ("workload.arrivals.rate", "'rate_per_s'")),
        ("count = 2\n", "", ("fleet[0].count is missing",)),
        ("count = 2", "count = 0", ("fleet[0].count is 0", "at least 1")),
        ("count = 2", "count = 2.5", ("fleet[0].count is 2.5", "a whole number")),
        ("count = 2", "count = true", ("fleet[0].count is True", "a whole number")),
        ("rate_per_s = 1.0", "rate_per_s = -1.0", ("workload.arrivals.rate_per_s is -1.0", "greater than 0")),
        ("rate_per_s = 1.0", "rate_per_s = nan", ("workload.arrivals.rate_per_s is nan", "finite")),
        ("rate_per_s = 1.0", "rate_per_s = inf", ("workload.arrivals.rate_per_s is inf", "finite")),
        ("rate_per_s = 1.0", 'rate_per_s = "1"', ("rate_per_s is '1'", "must be a number")),
        ('models = ["m"]', 'models = ["n"]', ("fleet[0].models has 'n'", "there is 'm'")),
        ('models = ["m"]', "models = []", ("fleet[0].models is empty",)),
        ('model = "m"\n', 'model = "mm"\n', ("workload.mix[0].model is 'mm'", "did you mean 'm'")),
        ("steps = 10", "steps = 1000", ("models.m.steps is 1000", "at most 200")),
        ("count = 2", "count = 1000000000", ("fleet[0].count is 1000000000", "at most 100,000")),
        (
            "duration_s = 20.0",
            "requests = 1000000000",
            ("workload.arrivals.requests is 1000000000", "at most 50,000,000"),
        ),
        ("duration_s = 20.0", "duration_s = 20.0\nrequests = 3", ("workload.arrivals", "and not both")),
        ("duration_s = 20.0", 'process = "poison"\nduration_s = 20.0', ("process is 'poison'", "'poisson'")),
        ("[workload.arrivals]", '[workload.like]\ntrace = "katz-a"\n[workload.arrivals]', ("like and arrivals",)),
        ("[[fleet]]", "format = 2\n[[fleet]]", ("format is 2", "reads format 1")),
        ("[[fleet]]", "seeds = []\n[[fleet]]", ("seeds is empty",)),
        ("[[fleet]]", "seeds = [-1]\n[[fleet]]", ("seeds[0] is -1", "at least 0")),
        ("[[fleet]]", "seeds = 3\n[[fleet]]", ("seeds is 3", "a list")),
        ("[[fleet]]", "loads = [0.0]\n[[fleet]]", ("loads[0] is 0.0", "greater than 0")),
        ("[[fleet]]", '[policies]\nx = "througput"\n[[fleet]]', ("policies.x", "did you mean 'throughput'")),
        ("[[fleet]]", '[policies]\nx = ["order=arival"]\n[[fleet]]', ("policies.x", "did you mean 'arrival'")),
        ("[[fleet]]", "[policies]\nx = 3\n[[fleet]]", ("policies.x is 3", "a text or a list")),
        (
            "[[fleet]]",
            '[[faults]]\nkind = "die"\nworker = "gpu-3"\nat_s = 1.0\n[[fleet]]',
            ("faults[0].worker is 'gpu-3'", "'gpu-2'"),
        ),
        ("[[fleet]]", "[deadlines]\nseconds = 1.0\nsolo_times = 2.0\n[[fleet]]", ("deadlines", "leave one")),
        ("[[fleet]]", '[[adapters]]\nname = "a"\nmodel = "q"\n[[fleet]]', ("adapters[0].model", "there is 'm'")),
        ('model = "m"\n', 'model = "m"\nsizes = ["64"]\n', ("sizes[0] is '64'", "WIDTHxHEIGHT")),
        ('model = "m"\n', 'model = "m"\nsteps = { least = 5, most = 4 }\n', ("from 5 to 4",)),
        ("[models.m]", "[models.n]\nprofile = 'x'\n[models.m]", ("models.n is served by no group",)),
        ("count = 2", "count = = 2", ("not TOML", "line 4, column 9")),
    ],
)
def test_an_error_names_the_key_and_what_is_allowed(old, new, said):
    message = message_of(changed(old, new))
    assert [part for part in said if part not in message] == []


def test_an_error_names_the_file(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(changed("count = 2", "count = 0"), encoding="utf-8")
    with pytest.raises(BadScenario, match=r"bad\.toml: fleet\[0\]\.count"):
        read_scenario(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_is_no_text_or_not_there_is_an_error(tmp_path, content):
    path = tmp_path / "bad.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadScenario, match=r"bad\.toml"):
        read_scenario(path)


def test_two_groups_may_not_have_one_name():
    group = SMALL[: SMALL.index("[models.m]")]
    assert "two entries named 'gpu'" in message_of(group + SMALL)


VARIANT = '[[variants]]\nname = "fast"\nset = { "workload.arrivals.rate_per_s" = 5.0, "fleet.0.count" = 3 }\n'


def test_a_variant_is_the_scenario_with_some_keys_changed():
    scenario = parse_scenario(VARIANT + SMALL)
    (fast,) = variants_of(scenario).values()
    assert (fast.workload.arrivals.rate_per_s, len(fast.worker_names)) == (5.0, 3)
    assert msgspec.structs.replace(fast, fleet=scenario.fleet, workload=scenario.workload) == msgspec.structs.replace(
        scenario, variants=()
    )


def test_a_scenario_without_variants_is_simulated_as_it_is():
    scenario = parse_scenario(SMALL)
    assert variants_of(scenario) == {"": scenario}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("fleet.0.count", "fleet.1.count", ("variants[0].set.'fleet.1.count'", "'1' is not there", "'0'")),
        ("fleet.0.count", "flet.0.count", ("variants[0].set.'flet.0.count'", "did you mean 'fleet'")),
        ("fleet.0.count", "fleet.0.cuont", ("variants[0]: fleet[0].cuont", "did you mean 'count'")),
        ('" = 3', '" = 0', ("variants[0]: fleet[0].count is 0",)),
    ],
)
def test_an_error_in_a_variant_names_it(old, new, said):
    message = message_of(changed(old, new, VARIANT) + SMALL)
    assert [part for part in said if part not in message] == []


LANGUAGE = "[language]\nkv_blocks = 100\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LANGUAGE + SMALL, ("workload.mix.steps is missing",)),
        (changed("kv_blocks", "kv_block", LANGUAGE) + SMALL, ("language.kv_block", "did you mean 'kv_blocks'")),
        (changed("100", "0", LANGUAGE) + SMALL, ("language.kv_blocks is 0",)),
    ],
)
def test_an_error_in_language_work_names_the_key(text, said):
    message = message_of(text)
    assert [part for part in said if part not in message] == []


def test_a_key_that_does_not_count_for_a_fault_is_an_error():
    died = SMALL + '[[faults]]\nkind = "die"\nworker = "gpu-1"\nat_s = 1\n'
    assert message_of(died + "for_s = 3.0\n").startswith("faults[0].for_s does not count for `die`")
    assert message_of(died + "factor = 3.0\n").startswith("faults[0].factor does not count for `die`")


TEXTS = LANGUAGE + SMALL + "steps = 5\n"


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ('[[faults]]\nkind = "die"\nworker = "gpu-1"\nat_s = 1\n', "faults[0]"),
        ('[deadlines]\non_deadline = "expire"\n', "deadlines.on_deadline"),
        ("[limits]\nmax_attempts = 2\n", "limits.max_attempts"),
        ('[[adapters]]\nname = "a"\nmodel = "m"\ncount = 2\nper_request = 2\n', "adapters[0].per_request"),
        ('[policies]\nx = "order=arrival"\n', "policies"),
    ],
)
def test_language_work_refuses_what_it_does_not_follow(section, place):
    assert message_of(section + TEXTS).startswith(f"{place} ")
    assert message_of(changed("count = 2", "count = 2\nstartup_s = 3.0", TEXTS)).startswith("fleet[0].startup_s ")
