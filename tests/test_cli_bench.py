"""`safelight bench` as its users run it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from fakes.live_server import LiveServer
from safelight.cli import main
from safelight.traces.reading import open_trace

OMNI_KEYS = {
    *("duration", "completed_requests", "failed_requests", "throughput_qps", "latency_mean", "latency_median"),
    *("latency_p50", "latency_p95", "latency_p99", "slo_attainment_rate", "slo_met_success", "slo_scale"),
}
SAFELIGHT = (sys.executable, "-m", "safelight")


@pytest.fixture(scope="module")
def null_url():
    argv = (*SAFELIGHT, "bench", "null-server", "--port", "0", "--fixed-s", "0.01")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def queue_url():
    """A server that paints 100 pictures a second and no more."""
    argv = (*SAFELIGHT, "bench", "null-server", "--port", "0", "--workers", "1", "--fixed-s", "0.01")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "T"
    path.write_text(
        "".join(
            f"Request(request_id='r{number}', prompt='cat {number}', width=64, height=64, num_inference_steps=4)\n"
            for number in range(50)
        )
    )
    return str(path)


def bench(url, *words):
    return main(["bench", "--base-url", url, "--task", "t2i", *words])


def test_the_seed_flags_work_unchanged(null_url, trace, tmp_path):
    output = tmp_path / "o.json"
    words = [
        "--model",
        "shapes-large",
        "--dataset",
        "trace",
        "--num-prompts",
        "50",
        "--request-rate",
        "200",
        "--max-concurrency",
        "50",
        "--slo",
    ]
    words += ["--dataset-path", trace, "--warmup-requests", "2", "--output-file", str(output)]
    assert bench(null_url, *words) == 0
    figures = json.loads(output.read_text())
    assert figures.keys() >= OMNI_KEYS
    assert figures["completed_requests"] == len(figures["latencies_s"]) == 50


def test_the_real_server_is_measured_and_its_times_told(capsys):
    words = (
        "--dataset shapes --endpoint /v1/images/generations --num-prompts 3 --num-inference-steps 2 --json --no-check"
    )
    with LiveServer() as server:
        assert bench(server.url, "--model", "null-large", *words.split()) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["completed_requests"] == 3
    assert figures["compute_p50"] >= 0.0


def test_every_request_is_logged_as_a_row_of_the_table(null_url, tmp_path):
    log = tmp_path / "log.parquet"
    assert bench(null_url, "--dataset", "random", "--num-prompts", "4", "--log", str(log)) == 0
    table = open_trace(log).frame.collect()
    assert table["status"].to_list() == ["finished"] * 4
    assert table["duration_s"].min() >= 0.01


@pytest.mark.parametrize(
    ("condition", "status"), [("failed==0", 0), ("p95<1ms", 3), ("attainment>=99%", 2), ("p95 under 3", 2)]
)
def test_a_condition_that_fails_has_a_status_of_its_own(null_url, condition, status):
    given = bench(null_url, "--dataset", "random", "--num-prompts", "3", "--require", condition)
    assert given == status


def test_scene_scores_stand_beside_latencies(null_url, capsys):
    assert bench(null_url, "--dataset", "shapes", "--num-prompts", "3", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert 0.0 <= figures["scene_score_mean"] <= 1.0
    assert figures["latency_p95"] >= 0.01


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "t2x"], "did you mean"),
        (["--dataset", "randm"], "random"),
        (["--endpoint", "/v1/image/generations"], "/v1/images/generations"),
        (["--extra-body", "[1]"], "--extra-body"),
        (["--header", "nothing"], "NAME:VALUE"),
        (["--timeout", "nan"], "--timeout"),
        (["--request-rate", "-1", "--dataset", "random"], "rate"),
        (["--request-rate", "nan", "--dataset", "random"], "rate"),
        (["--arrivals", "trace", "--dataset", "random"], "--request-rate"),
        (["--arrivals", "gama", "--dataset", "random"], "gamma"),
        (["--slo", "--warmup-requests", "0", "--dataset", "random"], "--warmup-requests"),
        (["--slo-estimator", "best", "--dataset", "random"], "omni"),
        (["--output-file", "no/such/folder/o.json"], "no folder"),
        (["--log", "log.txt"], "format"),
        (["--base-url", "nowhere", "--dataset", "random"], "no address"),
        ([], "--dataset-path"),
    ],
)
def test_misuse_is_told_before_all_work(words, said, capsys):
    assert bench("http://127.0.0.1:9", *words) == 2
    assert said in capsys.readouterr().err


def test_a_server_that_is_down_is_told_at_once(capsys):
    assert bench("http://127.0.0.1:9", "--dataset", "random") == 1
    assert "nobody listens" in capsys.readouterr().err


def test_flags_before_a_command_are_not_lost_in_silence(capsys):
    assert main(["bench", "--num-prompts", "3", "null-server"]) == 2
    assert "behind the command" in capsys.readouterr().err


def test_a_run_that_is_interrupted_writes_what_it_has(null_url, tmp_path):
    output = tmp_path / "o.json"
    words = ["--task", "t2i", "--dataset", "random", "--num-prompts", "2000", "--request-rate", "20", "--output-file"]
    argv = (*SAFELIGHT, "bench", "--base-url", null_url, *words, str(output))
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert "warmed up" in process.stderr.readline()
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "ended early" in said
    figures = json.loads(output.read_text())
    assert figures["partial"]
    assert 0 < figures["completed_requests"] < 2000


def test_repeats_are_told_run_by_run_and_all_together(null_url, tmp_path):
    output, log, page = (tmp_path / name for name in ("o.json", "log.parquet", "page.html"))
    words = ["--dataset", "random", "--num-prompts", "4", "--request-rate", "100", "--repeats", "3"]
    files = ["--output-file", str(output), "--log", str(log), "--report", str(page)]
    assert bench(null_url, *words, *files) == 0
    figures = json.loads(output.read_text())
    assert [run["completed_requests"] for run in figures["runs"]] == [4, 4, 4]
    assert figures["completed_requests"] == len(figures["latencies_s"]) == 12
    table = open_trace(log).frame.collect()
    assert table["request_id"].n_unique() == 12
    gaps = [table["arrival_s"][start : start + 4].diff().drop_nulls().to_list() for start in (0, 4, 8)]
    assert gaps[0] != pytest.approx(gaps[1], rel=0.01)
    assert "By run" in page.read_text()


def test_every_repeat_asks_for_the_same_prompts(null_url, tmp_path):
    log = tmp_path / "log.parquet"
    assert bench(null_url, "--dataset", "shapes", "--num-prompts", "3", "--repeats", "2", "--log", str(log)) == 0
    prompts = open_trace(log).frame.collect()["prompt"].to_list()
    assert prompts[:3] == prompts[3:]


def test_a_full_disk_is_told(null_url, capsys):
    assert bench(null_url, "--dataset", "random", "--num-prompts", "2", "--output-file", "/dev/full") == 1
    assert "No space left" in capsys.readouterr().err


def test_a_sweep_gives_attainment_against_rate(null_url, tmp_path, capsys):
    page, facts = tmp_path / "sweep.html", tmp_path / "sweep.json"
    words = ["--dataset", "random", "--num-prompts", "5", "--slo-ms", "1000", "--rates", "50,100"]
    for output in (page, facts):
        assert main(["bench", "sweep", "--base-url", null_url, "--task", "t2i", *words, "-o", str(output)]) == 0
    assert "held up to 100 requests per second" in capsys.readouterr().out
    points = json.loads(facts.read_text())["points"]
    assert [(point["request_rate"], point["slo_attainment_rate"]) for point in points] == [(50.0, 1.0), (100.0, 1.0)]
    assert "<svg" in page.read_text()


def test_capacity_needs_deadlines(null_url, capsys):
    assert main(["bench", "capacity", "--base-url", null_url, "--task", "t2i", "--dataset", "random"]) == 2
    assert "--slo-ms" in capsys.readouterr().err


def test_capacity_finds_the_rate_beyond_which_deadlines_are_missed(queue_url, capsys):
    words = ["--task", "t2i", "--dataset", "random", "--num-prompts", "30", "--slo-ms", "60"]
    words += ["--arrivals", "constant", "--start-rate", "40", "--precision", "0.5"]
    assert main(["bench", "capacity", "--base-url", queue_url, *words]) == 0
    assert "held up to" in capsys.readouterr().out


def test_capacity_runs_a_rate_again_while_it_is_unsure_and_tells_what_is_sure(queue_url, tmp_path, capsys):
    output = tmp_path / "c.json"
    words = ["--task", "t2i", "--dataset", "random", "--num-prompts", "15", "--slo-ms", "100", "--repeats", "3"]
    words += ["--arrivals", "constant", "--start-rate", "50", "--precision", "1", "--attainment", "0.8"]
    assert main(["bench", "capacity", "--base-url", queue_url, *words, "-o", str(output)]) == 0
    facts = json.loads(output.read_text())
    lowest = min(facts["points"], key=lambda point: point["request_rate"])
    assert len(lowest["runs"]) >= 2
    assert lowest["verdict"] == "held"
    assert facts["surely_held"] >= lowest["request_rate"]
    assert facts["surely_held"] < (facts["surely_missed"] or 1000)
    assert "For sure, it held up to" in capsys.readouterr().out


def test_a_sweep_over_rates_sets_them_for_a_trace_with_times_too(null_url, tmp_path):
    trace, output = tmp_path / "t.jsonl", tmp_path / "s.json"
    rows = [{"arrival_s": 5.0 * number, "prompt": f"cat {number}"} for number in range(3)]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--task", "t2i", "--dataset", "trace", "--dataset-path", str(trace), "--rates", "100", "-o", str(output)]
    assert main(["bench", "sweep", "--base-url", null_url, *words]) == 0
    assert json.loads(output.read_text())["points"][0]["duration"] < 4.0


@pytest.mark.parametrize("words", [["--rates", "1,x"], ["--rates", "0"], ["--rates", "1", "--concurrencies", "1"], []])
def test_a_sweep_over_nothing_is_refused(null_url, words):
    assert main(["bench", "sweep", "--base-url", null_url, "--task", "t2i", "--dataset", "random", *words]) == 2


def test_two_runs_are_compared_by_their_files(null_url, tmp_path, capsys):
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    for file in files:
        assert bench(null_url, "--dataset", "random", "--num-prompts", "20", "--output-file", file) == 0
    capsys.readouterr()
    assert main(["bench", "compare", *files, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cautions"] == []
    assert "its median latency is" in told["summary"]
    assert {each["name"] for each in told["differences"]} >= {
        "latency_p50",
        "latency_p95",
        "throughput_qps",
        "failed_share",
    }


def test_a_page_tells_no_key(null_url, tmp_path):
    page = tmp_path / "page.html"
    argv = (*SAFELIGHT, "bench", "--base-url", null_url, "--task", "t2i", "--dataset", "random", "--num-prompts", "3")
    done = subprocess.run([*argv, "--report", page, "--api-key", "s3cret", "--header=X:s3cret"], check=False)
    assert done.returncode == 0
    assert "s3cret" not in page.read_text()


def test_a_file_that_is_no_result_is_told(tmp_path, capsys):
    (tmp_path / "x.json").write_text("{}")
    assert main(["bench", "compare", str(tmp_path / "x.json"), str(tmp_path / "x.json")]) == 1
    assert "no result" in capsys.readouterr().err
