import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from safelight.cli import main
from safelight.simulator.results.figures import NUMBERS
from safelight.traces.reading import open_trace
from simulator.scenario.scenarios import SMALL

QUICKSTART = Path(__file__).parents[3] / "scenarios" / "quickstart.toml"
TWO_POLICIES = '[policies]\na = "deadlines"\nb = ["order=arrival", "admission=open"]\n'
ENDLESS = SMALL.replace("duration_s = 20.0", "duration_s = 1e7")


@pytest.fixture
def scenario(tmp_path):
    def write(text):
        path = tmp_path / "scenario.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def run(arguments, capsys):
    """Return exit status, standard output and standard error of `safelight simulate`."""
    status = main(["simulate", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def document(arguments, capsys):
    """Return the document of a simulation that is done."""
    status, out, err = run([*arguments, "--json"], capsys)
    assert (status, err) == (0, "")
    return json.loads(out)


def test_json_alone_is_on_standard_output_and_every_block_is_marked(scenario, capsys):
    found = document([scenario(SMALL)], capsys)
    (run_of,), (summary,) = found["runs"], found["summaries"]
    assert [each["simulated"] for each in (found, run_of, run_of["figures"], summary)] == [True] * 4
    assert {name for name in NUMBERS if name not in run_of["figures"]} == set()
    assert found["is_complete"]


def test_policies_seeds_and_loads_are_simulated_side_by_side(scenario, capsys):
    text = "seeds = [1, 2]\nloads = [0.5, 1.0]\n" + TWO_POLICIES + SMALL
    found = document([scenario(text)], capsys)
    runs = [(each["policy"], each["load"], each["seed"]) for each in found["runs"]]
    assert sorted(runs) == sorted((policy, load, seed) for policy in "ab" for load in (0.5, 1.0) for seed in (1, 2))
    assert [each["n"] for each in found["summaries"]] == [2] * 4


def test_options_override_policies_seeds_and_loads(scenario, capsys):
    path = scenario(TWO_POLICIES + SMALL)
    chosen = ["--policy", "b", "--policy", "order=arrival,routing=round-robin", "--seed", "7", "--load", "2"]
    found = document([path, *chosen], capsys)
    assert found["policies"] == {
        "b": ["order=arrival", "admission=open"],
        "order=arrival,routing=round-robin": ["order=arrival", "routing=round-robin"],
    }
    assert {(each["load"], each["seed"]) for each in found["runs"]} == {(2.0, 7)}


def test_rates_are_requests_per_second(scenario, capsys):
    found = document([scenario("rates_per_s = [0.5, 3.0]\n" + SMALL)], capsys)
    assert [each["rate_per_s"] for each in found["summaries"]] == [0.5, 3.0]


def test_text_says_that_all_figures_are_simulated(scenario, capsys):
    status, out, _ = run([scenario("seeds = [1, 2, 3]\n" + SMALL)], capsys)
    titles = [line for line in out.splitlines() if "imulated" in line]
    assert status == 0
    assert any("n = 3 seeds" in title for title in titles)


def test_the_outcome_log_is_a_trace_of_simulated_requests(scenario, tmp_path, capsys):
    path = tmp_path / "outcomes.jsonl"
    found = document([scenario(SMALL), "--outcomes", str(path)], capsys)
    table = open_trace(path).frame.collect()
    assert len(table) == found["runs"][0]["figures"]["requests"]
    assert set(table["origin"]) == {"simulated"}


def test_several_runs_have_an_outcome_log_each(scenario, tmp_path, capsys):
    folder = tmp_path / "logs"
    document([scenario(TWO_POLICIES + SMALL), "--outcomes", str(folder)], capsys)
    assert {path.name for path in folder.iterdir()} == {"a-load1-seed0.jsonl", "b-load1-seed0.jsonl"}


def test_runs_whose_names_are_alike_in_files_have_an_outcome_log_each(scenario, tmp_path, capsys):
    folder = tmp_path / "logs"
    text = TWO_POLICIES.replace("a =", '"x y" =').replace("b =", '"x-y" =')
    document([scenario(text + SMALL), "--outcomes", str(folder)], capsys)
    assert {path.name for path in folder.iterdir()} == {f"x-y-load1-seed0-run{number}.jsonl" for number in (1, 2)}


def test_a_seed_gives_the_same_bytes_here_and_in_several_processes(scenario, tmp_path, capsys):
    path, folders = scenario("seeds = [1, 2]\n" + SMALL), [tmp_path / name for name in ("here", "there")]
    for folder, jobs in zip(folders, ("1", "2"), strict=True):
        status, out, _ = run([path, "--json", "--outcomes", str(folder), "--jobs", jobs], capsys)
        (folder / "document.json").write_text(out, encoding="utf-8")
        assert status == 0
    logs = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert len(logs[0]) == 3
    assert logs[0] == logs[1]


def test_an_outcome_log_can_be_the_trace_of_another_scenario(scenario, tmp_path, capsys):
    path = tmp_path / "outcomes.jsonl"
    first = document([scenario(SMALL), "--outcomes", str(path)], capsys)
    again = SMALL[: SMALL.index("[workload.arrivals]")] + '[workload.trace]\npath = "outcomes.jsonl"\n'
    second = document([scenario(again)], capsys)
    assert second["runs"][0]["figures"]["requests"] == first["runs"][0]["figures"]["requests"]


def test_a_page_is_written(scenario, tmp_path, capsys):
    page = tmp_path / "report.html"
    status, _, _ = run([scenario(SMALL), "--html", str(page)], capsys)
    assert status == 0
    assert "All figures are simulated" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--policy", "nothing"], 2, "'default'"),
        (["--policy", "order=arival"], 2, "order=arival"),
        (["--load", "-1"], 2, "positive"),
        (["--load", "nan"], 2, "positive"),
        (["--seed", "-1"], 2, "seed"),
        (["--jobs", "0"], 2, "jobs"),
        (["--outcomes", "missing/folder/file"], 2, "no folder"),
        (["--html", "missing/report.html"], 2, "no folder"),
    ],
)
def test_an_option_that_cannot_be_is_misuse(options, status, said, scenario, capsys):
    found, out, err = run([scenario(SMALL), *options], capsys)
    assert (found, out) == (status, "")
    assert said in err


def test_one_file_for_several_outcome_logs_is_misuse(scenario, tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("", encoding="utf-8")
    status, _, err = run([scenario(TWO_POLICIES + SMALL), "--outcomes", str(path)], capsys)
    assert status == 2
    assert "name a folder" in err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_error_in_a_scenario_is_one_line(jobs, scenario, capsys):
    text = "seeds = [1, 2]\n" + SMALL.replace("[models.m]", '[models.m]\nprofile = "nowhere.toml"')
    text = "\n".join(line for line in text.splitlines() if not line.startswith("profile = {"))
    status, out, err = run([scenario(text), "--jobs", jobs], capsys)
    assert (status, out) == (1, "")
    assert "models.m.profile is 'nowhere.toml'" in err
    assert err.count("\n") == 1


def test_the_quickstart_can_be_simulated(capsys):
    found = document([str(QUICKSTART), "--seed", "1", "--load", "0.5"], capsys)
    assert [each["policy"] for each in found["runs"]] == ["deadlines", "throughput"]
    assert all(each["figures"]["attainment"] > 0.5 for each in found["runs"])


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_error_in_one_run_keeps_the_runs_before_it(jobs, scenario, capsys):
    variants = [("small calls", 8), ("large calls", 16)]
    text = SMALL + "".join(
        f'[[variants]]\nname = "{name}"\nset = {{ "fleet.0.max_denoiser_rows" = {rows} }}\n' for name, rows in variants
    )
    status, out, err = run([scenario(text), "--json", "--jobs", jobs], capsys)
    found = json.loads(out)
    assert status == 1
    assert "no measured call of 16 rows" in err
    assert not found["is_complete"]
    assert [each["variant"] for each in found["runs"]] == ["small calls"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_the_runs_so_far(jobs, scenario, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    os.mkfifo(folder / "default-load1-seed1.jsonl")
    command = [sys.executable, "-m", "safelight", "simulate", scenario("seeds = [1, 2]\n" + ENDLESS)]
    process = subprocess.Popen(
        [*command, "--json", "--outcomes", str(folder), "--jobs", jobs],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with (folder / "default-load1-seed1.jsonl").open(encoding="utf-8") as log:
        first = json.loads(log.readline())
        process.send_signal(signal.SIGINT)
        further = log.readlines()
    out, err = process.communicate()
    found = json.loads(out)
    assert process.returncode == 130
    assert "interrupted" in err
    assert first["origin"] == "simulated"
    assert not found["is_complete"]
    assert {each["is_complete"] for each in found["runs"]} == {False}
    assert found["runs"][0]["figures"]["requests"] == 1 + len(further)
    for path in folder.glob("*seed2*"):
        assert open_trace(path).frame.collect()["origin"].unique().to_list() == ["simulated"]
    assert all(path.name.endswith(".jsonl") for path in folder.iterdir())


def test_a_simulation_of_its_own_log_predicts_it_exactly(scenario, tmp_path, capsys):
    log = tmp_path / "outcomes.jsonl"
    path = scenario("[deadlines]\nsolo_times = 1.5\n" + SMALL)
    document([path, "--outcomes", str(log)], capsys)
    found = document([path, "--against", str(log)], capsys)
    assert found["measured"]["simulated"]
    assert {name: round(error, 9) for name, error in found["predictions"][0]["errors"].items()} == dict.fromkeys(
        ["latency_mean_s", "latency_p50_s", "latency_p95_s", "latency_p99_s", "throughput_per_s", "attainment"], 0.0
    )


def test_a_log_is_shown_beside_predictions(scenario, tmp_path, capsys):
    log = tmp_path / "served.jsonl"
    log.write_text(
        '{"arrival_s": 1.0, "origin": "served", "status": "finished", "duration_s": 2.0}\n', encoding="utf-8"
    )
    status, out, _ = run([scenario(SMALL), "--against", str(log)], capsys)
    assert status == 0
    assert "Simulated against measured: 1 requests of served.jsonl" in out
    assert "latency mean" in out


def test_a_log_has_one_load_and_one_fleet(scenario, tmp_path, capsys):
    log = tmp_path / "served.jsonl"
    log.write_text('{"arrival_s": 1.0, "status": "finished", "duration_s": 2.0}\n', encoding="utf-8")
    status, _, err = run([scenario(SMALL), "--against", str(log), "--load", "2"], capsys)
    assert (status, "--load cannot be beside --against" in err) == (2, True)
    text = SMALL + '[[variants]]\nname = "x"\nset = {}\n'
    status, _, err = run([scenario(text), "--against", str(log)], capsys)
    assert (status, "variants cannot be beside a log" in err) == (1, True)


TWO_MODELS = (
    '[policies]\ndefault = "level=cascade-static"\n'
    + SMALL.replace('models = ["m"]', 'models = ["m", "n"]').replace('model = "m"\n', 'model = "both"\n')
    + next(line for line in SMALL.splitlines() if line.startswith("profile =")).join(["[models.n]\n", "\n"])
    + '[[cascades]]\nname = "both"\nlight = "m"\nheavy = "n"\ndeferral = [[0.0, 0.0], [1.0, 1.0]]\n'
)


def test_a_simulation_of_the_log_of_a_cascade_predicts_it_exactly(scenario, tmp_path, capsys):
    log, path = tmp_path / "outcomes.jsonl", scenario(TWO_MODELS)
    first = document([path, "--outcomes", str(log)], capsys)
    (found,) = document([path, "--against", str(log)], capsys)["predictions"]
    assert 0 < first["runs"][0]["figures"]["escalated"] < 1
    assert {name: round(error, 9) for name, error in found["errors"].items()} == dict.fromkeys(found["errors"], 0.0)
    assert found["figures"]["escalated"]["mean"] == first["runs"][0]["figures"]["escalated"]


def test_a_log_of_reused_pictures_is_refused(scenario, tmp_path, capsys):
    log = tmp_path / "served.jsonl"
    log.write_text('{"arrival_s": 1.0, "status": "finished", "duration_s": 2.0, "stages": 0}\n', encoding="utf-8")
    status, _, err = run([scenario(SMALL), "--against", str(log)], capsys)
    assert (status, "1 requests that earlier pictures served" in err) == (1, True)


def test_a_log_without_outcomes_is_an_error(scenario, tmp_path, capsys):
    log = tmp_path / "trace.jsonl"
    log.write_text('{"arrival_s": 1.0}\n', encoding="utf-8")
    status, out, err = run([scenario(SMALL), "--against", str(log)], capsys)
    assert (status, out) == (1, "")
    assert "does not tell how requests ended" in err


def test_a_language_model_is_simulated_with_the_same_figures(scenario, capsys):
    text = '[policies]\nmerged = "adapter-mode=always-merged"\nours = "adapter-mode=payback"\n'
    text += "[language]\nkv_blocks = 500\nprompt_tokens = 32\n" + SMALL + "steps = { least = 5, most = 30 }\n"
    text = '[[adapters]]\nname = "a"\nmodel = "m"\ncount = 3\nshare = 1.0\n' + text
    found = document([scenario(text)], capsys)
    assert [each["figures"]["finished"] == each["figures"]["requests"] > 0 for each in found["runs"]] == [True, True]
    assert all(each["figures"]["latency_per_step_mean_s"] > 0 for each in found["runs"])


def test_workers_are_ready_when_a_log_begins(scenario, tmp_path, capsys):
    log = tmp_path / "served.jsonl"
    early = '{"arrival_s": 0.0, "status": "rejected", "reason": "not_ready", "duration_s": 0.0}\n'
    log.write_text(early + '{"arrival_s": 1.0, "status": "finished", "duration_s": 2.0}\n', encoding="utf-8")
    found = document(
        [scenario(SMALL.replace("count = 2", "count = 2\nstartup_s = 9.0")), "--against", str(log)], capsys
    )
    assert (found["measured"]["requests"], found["measured"]["left_out"]) == (1, 1)
    figures = found["predictions"][0]["figures"]
    assert (figures["requests"]["mean"], figures["attainment"]["mean"]) == (1.0, 1.0)
