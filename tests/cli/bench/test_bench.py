"""`safelight bench` as its users run it."""

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from fakes.live_server import LiveServer
from safelight.cli import main
from safelight.traces.reading import open_trace

OMNI_KEYS = {
    *("duration", "completed_requests", "failed_requests", "throughput_qps", "latency_mean", "latency_median"),
    *("latency_p50", "latency_p95", "latency_p99", "slo_attainment_rate", "slo_met_success", "slo_scale"),
}
SAFELIGHT = (sys.executable, "-m", "safelight")


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


NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No test reaches the web: nobody listens where it would be. Returns where published files are kept."""
    for name in ("HF_ENDPOINT", "https_proxy"):
        monkeypatch.setenv(name, NOWHERE)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


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
    metrics = json.loads(output.read_text())
    assert metrics.keys() >= OMNI_KEYS
    assert metrics["completed_requests"] == len(metrics["latencies_s"]) == 50


def test_the_real_server_is_measured_and_its_times_told(capsys):
    words = (
        "--dataset shapes --endpoint /v1/images/generations --num-prompts 3 --num-inference-steps 2 --json --no-check"
    )
    with LiveServer() as server:
        assert bench(server.url, "--model", "null-large", *words.split()) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["completed_requests"] == 3
    assert metrics["compute_p50"] >= 0.0


def test_every_request_is_logged_as_a_row_of_the_table(null_url, tmp_path):
    log = tmp_path / "log.parquet"
    assert bench(null_url, "--dataset", "random", "--num-prompts", "4", "--log", str(log)) == 0
    table = open_trace(log).frame.collect()
    assert table["status"].to_list() == ["finished"] * 4
    assert table["duration_s"].min() >= 0.01


@pytest.fixture
def pictures(tmp_path):
    for name, kind in (("a.png", "PNG"), ("b.jpg", "JPEG")):
        Image.new("RGB", (32, 32), "teal").save(tmp_path / name, kind)
    return tmp_path


def test_edits_start_from_the_pictures_that_lines_of_json_name(null_url, pictures):
    rows, log = pictures / "rows.jsonl", pictures / "log.jsonl"
    rows.write_text("".join(json.dumps({"prompt": name, "image_paths": [name]}) + "\n" for name in ("a.png", "b.jpg")))
    words = ["--task", "i2i", "--dataset", "custom", "--dataset-path", str(rows), "--num-prompts", "2"]
    assert main(["bench", "--base-url", null_url, *words, "--width", "64", "--height", "64", "--log", str(log)]) == 0
    table = open_trace(log).frame.collect()
    assert table["status"].to_list() == ["finished"] * 2
    assert {path for paths in table["inputs"] for path in paths} == {str(pictures / "a.png"), str(pictures / "b.jpg")}


@pytest.mark.parametrize(
    ("task", "endpoint", "done"),
    [
        ("i2i", "/v1/images/edits", "image-to-image"),
        ("i2i", "/v1/chat/completions", "image-to-image"),
        ("t2i", "/v1/images/generations", "text-to-image"),
        ("t2i", "/v1/chat/completions", "text-to-image"),
    ],
)
def test_the_real_server_reads_what_is_sent_of_pictures_and_adapters(task, endpoint, done, pictures):
    adapters, outcomes, trace = pictures / "adapters", pictures / "outcomes.jsonl", pictures / "trace.jsonl"
    (adapters / "control-edges").mkdir(parents=True)
    (adapters / "outline.safetensors").touch()
    row = {"prompt": "x", "controlnets": [{"name": "control-edges", "scale": 0.5}], "loras": [{"name": "outline"}]}
    trace.write_text(json.dumps(row | {"inputs": ["b.jpg"]}) + "\n" + json.dumps(row) + "\n")
    words = ["--task", task, "--endpoint", endpoint, "--dataset", "trace", "--dataset-path", str(trace), "--no-check"]
    words += ["--input-image", str(pictures / "a.png"), "--lora-dir", "/srv/loras", "--warmup-requests", "0"]
    with LiveServer(adapters=(adapters,), outcomes=outcomes) as server:
        assert main(["bench", "--base-url", server.url, "--model", "null-large", *words, "--require", "failed==0"]) == 0
    table = open_trace(outcomes).frame.collect()
    assert table["task"].to_list() == [done] * 2
    assert table["controlnets"].to_list() == [[{"name": "control-edges", "scale": 0.5}]] * 2
    assert table["loras"].to_list() == [[{"name": "outline", "scale": 1.0}]] * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "i2i", "--input-image", "{0}/rows"], "no PNG, JPEG or WebP picture"),
        (["--task", "i2i", "--input-image", "{0}/none.png"], "no such file"),
        (["--task", "v2v", "--input-video", "{0}/a.png"], "which is image/png, and no video"),
        (["--task", "v2v"], "in every request"),
        (["--task", "i2i", "--endpoint", "/v1/images/generations"], "choose --endpoint /v1/chat/completions or"),
        (["--control-image", "{0}/a.png"], "NAME=FILE"),
        (["--control-image", "x={0}/a.png"], "No request has a ControlNet 'x'"),
        (["--control-image", "x={0}/a.png", "--control-image", "x={0}/b.jpg"], "twice"),
        (["--lora-dir", ""], "--lora-dir"),
    ],
)
def test_what_cannot_be_started_from_is_told_before_all_work(words, said, pictures, capsys):
    (pictures / "rows").write_text("a prompt\n")
    words = [word.format(pictures) for word in ["--dataset", "random", *words]]
    assert bench("http://127.0.0.1:9", *words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("condition", "status"), [("failed==0", 0), ("p95<1ms", 3), ("attainment>=99%", 2), ("p95 under 3", 2)]
)
def test_a_condition_that_fails_has_a_status_of_its_own(null_url, condition, status):
    given = bench(null_url, "--dataset", "random", "--num-prompts", "3", "--require", condition)
    assert given == status


def test_scene_scores_stand_beside_latencies(null_url, capsys):
    assert bench(null_url, "--dataset", "shapes", "--num-prompts", "3", "--json") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert 0.0 <= metrics["scene_score_mean"] <= 1.0
    assert metrics["latency_p95"] >= 0.01


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "t2x"], "did you mean"),
        (["--dataset", "randm"], "random"),
        (["--endpoint", "/v1/image/generations"], "/v1/images/generations"),
        (["--extra-body", "[1]"], "--extra-body"),
        (["--extra-body", '{"x": ' + "[" * 100_000 + "]" * 100_000 + "}"], "nested too deeply"),
        (["--seed", "-1", "--dataset", "random"], "--seed"),
        (["--width", f"{2**31}", "--dataset", "random"], "--width"),
        (["--header", "nothing"], "NAME:VALUE"),
        (["--timeout", "nan"], "--timeout"),
        (["--request-rate", "-1", "--dataset", "random"], "rate"),
        (["--request-rate", "nan", "--dataset", "random"], "rate"),
        (["--arrivals", "trace", "--dataset", "random"], "--request-rate"),
        (["--arrivals", "gama", "--dataset", "random"], "gamma"),
        (["--burstiness", "0", "--request-rate", "1", "--dataset", "random"], "positive"),
        (["--burstiness", "0.5", "--dataset", "random"], "--request-rate"),
        (["--burstiness", "0.5", "--arrivals", "constant", "--dataset", "random"], "gamma"),
        (["--arrivals", "trace", "--request-rate", "100", "--dataset", "random"], "--request-rate"),
        (["--speed", "2", "--request-rate", "1", "--dataset", "random"], "--speed"),
        (["--speed", "2", "--dataset", "random"], "--speed"),
        (["--require", "attainmnt>=1", "--slo-ms", "9", "--dataset", "random"], "did you mean 'attainment'"),
        (["--require", "attainment>=1", "--dataset", "random"], "--slo-ms"),
        (["--slo", "--dataset", "random"], "--width and --height"),
        (["--slo", "--warmup-requests", "0", "--dataset", "random"], "--warmup-requests"),
        (["--slo-estimator", "best", "--dataset", "random"], "omni"),
        (["--output-file", "no/such/folder/o.json"], "no folder"),
        (["--output-file", "."], "is a folder"),
        (["--output-file", "a.jsonl", "--log", "a.jsonl"], "named twice"),
        (["--dataset", "prompts", "--dataset-path", "p.txt", "--report", "p.txt"], "named twice"),
        (["--log", "log.txt"], "end it in"),
        (["--base-url", "nowhere", "--dataset", "random"], "no address"),
        (["--base-url", "http://a..b", "--dataset", "random"], "no address"),
        ([], "--dataset-path"),
    ],
)
def test_misuse_is_told_before_all_work(words, said, capsys):
    assert bench("http://127.0.0.1:9", *words) == 2
    assert said in capsys.readouterr().err


def test_a_key_that_cannot_be_sent_is_misuse_and_is_not_shown(capsys):
    assert bench("http://127.0.0.1:9", "--dataset", "random", "--api-key", "s3cret\nkey") == 2
    said = capsys.readouterr().err
    assert "--api-key" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("dataset", "words"),
    [("trace", "safelight trace synthesize --like katz"), ("vbench", "--dataset random needs no file")],
)
def test_without_a_network_a_published_dataset_is_misuse_and_what_to_do_is_told(dataset, words, cache, capsys):
    assert bench(NOWHERE, "--dataset", dataset) == 2
    said = capsys.readouterr().err
    assert f"--dataset {dataset} names no file" in said
    assert "could not be fetched: no connection came about" in said
    assert words in said
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_published_trace_is_fetched_and_known_by_its_sha256(null_url, trace, tmp_path, monkeypatch, capsys):
    published = tmp_path / "web" / "datasets" / "asukaqaqzz" / "Dit_Trace" / "resolve" / "main" / "sd3_trace.txt"
    published.parent.mkdir(parents=True)
    published.write_bytes(Path(trace).read_bytes())
    argv = (sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "-d", tmp_path / "web")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as web:
        port = web.stdout.readline().split()[5]
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        assert bench(null_url, "--dataset", "trace", "--num-prompts", "3", "--json") == 0
        web.terminate()
    fetched = capsys.readouterr()
    assert bench(null_url, "--dataset", "trace", "--num-prompts", "3", "--json") == 0
    again = capsys.readouterr()
    sha256 = hashlib.sha256(Path(trace).read_bytes()).hexdigest()
    for each, words in ((fetched, "fetched http://"), (again, "fetched before")):
        assert words in each.err
        assert sha256 in each.err
        assert json.loads(each.out)["dataset_sha256"] == sha256


def test_an_address_may_end_as_openais_clients_have_it(null_url):
    assert bench(f"{null_url}/v1", "--dataset", "random", "--num-prompts", "2") == 0


def test_burstiness_alone_makes_arrivals_gamma(null_url, tmp_path):
    output = tmp_path / "o.json"
    words = ["--num-prompts", "3", "--request-rate", "100", "--burstiness", "0.5", "--output-file", output]
    assert bench(null_url, "--dataset", "random", *words) == 0
    assert json.loads(output.read_text())["arrivals"] == "gamma"


def test_adapters_that_a_server_does_not_have_can_be_left_out(tmp_path, capsys):
    path = tmp_path / "t.jsonl"
    path.write_text('{"prompt": "a red circle", "arrival_s": 0, "loras": [{"name": "nobody", "scale": 1}]}\n')
    words = ["--model", "null-large", "--dataset", "trace", "--dataset-path", path, "--no-check"]
    with LiveServer() as server:
        assert bench(server.url, *words) == 1
        assert bench(server.url, *words, "--no-adapters") == 0
    assert "--no-adapters" in capsys.readouterr().err


def test_a_server_that_is_down_is_told_at_once(capsys):
    assert bench("http://127.0.0.1:9", "--dataset", "random") == 1
    assert "nobody listens" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        *(["--num-prompts", "3"], ["--num-prompts", "10"], ["--api-key", "k"], ["--output-file", "o.json"]),
        *(["--log", "l.jsonl"], ["--report", "r.html"], ["--figures", "f"], ["--require", "failed==0"], ["--json"]),
    ],
)
def test_flags_before_a_command_are_not_lost_in_silence(words, capsys):
    assert main(["bench", *words, "null-server"]) == 2
    assert f"{words[0]} stands before null-server" in capsys.readouterr().err


def test_a_key_of_the_environment_is_no_flag_before_a_command(monkeypatch, capsys):
    monkeypatch.setenv("SAFELIGHT_API_KEY", "k")
    assert main(["bench", "compare", "nowhere.json", "nowhere.json"]) == 1
    assert "nowhere.json" in capsys.readouterr().err


@pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_a_run_that_is_interrupted_writes_what_it_has(signals, null_url, tmp_path):
    output = tmp_path / "o.json"
    words = ["--task", "t2i", "--dataset", "random", "--num-prompts", "2000", "--request-rate", "20", "--output-file"]
    argv = (*SAFELIGHT, "bench", "--base-url", null_url, *words, str(output))
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert "warmed up" in process.stderr.readline()
        time.sleep(0.7)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.05)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "ended early" in said
    metrics = json.loads(output.read_text())
    assert metrics["partial"]
    assert 0 < metrics["completed_requests"] < 2000


def test_a_closed_standard_output_ends_nothing(null_url, tmp_path):
    words = "bench --base-url {} --task t2i --dataset random --num-prompts 3 --output-file {}"
    command = shlex.join([*SAFELIGHT, *words.format(null_url, tmp_path / "o.json").split()])
    assert subprocess.run(["sh", "-c", f"exec {command} >&-"], check=False, stderr=subprocess.DEVNULL).returncode == 0
    assert json.loads((tmp_path / "o.json").read_text())["completed_requests"] == 3


def test_repeats_are_told_run_by_run_and_all_together(null_url, tmp_path):
    output, log, page = (tmp_path / name for name in ("o.json", "log.parquet", "page.html"))
    words = ["--dataset", "random", "--num-prompts", "4", "--request-rate", "100", "--repeats", "3"]
    files = ["--output-file", str(output), "--log", str(log), "--report", str(page)]
    assert bench(null_url, *words, *files) == 0
    metrics = json.loads(output.read_text())
    assert [run["completed_requests"] for run in metrics["runs"]] == [4, 4, 4]
    assert metrics["completed_requests"] == len(metrics["latencies_s"]) == 12
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


def test_a_full_disk_is_told_and_costs_no_other_result(null_url, tmp_path, capsys):
    words = ["--dataset", "random", "--num-prompts", "2", "--output-file", "/dev/full"]
    assert bench(null_url, *words, "--log", tmp_path / "log.jsonl") == 1
    said = capsys.readouterr()
    assert "No space left" in said.err
    assert "completed" in said.out
    assert (tmp_path / "log.jsonl").read_text().count("finished") == 2


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


def test_a_sweep_over_rates_sets_them_for_a_trace_with_times_too(null_url, tmp_path):
    trace, output = tmp_path / "t.jsonl", tmp_path / "s.json"
    rows = [{"arrival_s": 5.0 * number, "prompt": f"cat {number}"} for number in range(3)]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--task", "t2i", "--dataset", "trace", "--dataset-path", str(trace), "--rates", "100", "-o", str(output)]
    assert main(["bench", "sweep", "--base-url", null_url, *words]) == 0
    assert json.loads(output.read_text())["points"][0]["duration"] < 4.0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rates", "1,x"], "positive numbers"),
        (["--rates", "0"], "positive numbers"),
        (["--rates", "1", "--concurrencies", "1"], "give one of them"),
        ([], "give one of them"),
        (["--concurrencies", "0.5,1.5"], "whole numbers"),
        (["--concurrencies", "0"], "positive numbers"),
        (["--concurrencies", "1", "--max-concurrency", "2"], "--max-concurrency"),
        (["--rates", "1", "--request-rate", "2"], "--request-rate"),
        (["--rates", "1", "--arrivals", "trace"], "--arrivals"),
        (["--rates", "1", "--speed", "2"], "--speed"),
        (["--rates", "1,1", "--save-dir", "nowhere"], "stands twice"),
    ],
)
def test_a_sweep_over_nothing_or_in_spite_of_other_flags_is_refused(words, said, capsys):
    assert main(["bench", "sweep", "--base-url", NOWHERE, "--task", "t2i", "--dataset", "random", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("levels", [["--rates", "200,400.5"], ["--concurrencies", "1,2"]])
def test_all_levels_of_a_sweep_save_their_own_pictures(null_url, levels, tmp_path):
    words = ["--dataset", "random", "--num-prompts", "2", "--repeats", "2", "--save-dir", str(tmp_path / "pictures")]
    assert main(["bench", "sweep", "--base-url", null_url, "--task", "t2i", *words, *levels]) == 0
    names = [path.name for path in (tmp_path / "pictures").iterdir()]
    assert len(names) == 2 * 2 * 2
    assert len({name.partition("-")[0] for name in names}) == 2


def test_two_runs_are_compared_by_their_files(null_url, tmp_path, capsys):
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    words = ["--dataset", "random", "--num-prompts", "20", "--request-rate", "500", "--output-file"]
    for file in files:
        assert bench(null_url, *words, file) == 0
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


def test_that_two_runs_had_other_data_is_told(null_url, trace, tmp_path, capsys):
    longer = tmp_path / "longer"
    longer.write_text(Path(trace).read_text() + "Request(prompt='one more cat')\n")
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    for file, path in zip(files, (trace, str(longer)), strict=True):
        words = ("--dataset", "trace", "--dataset-path", path, "--num-prompts", "20", "--output-file", file)
        assert bench(null_url, *words) == 0
    capsys.readouterr()
    assert main(["bench", "compare", *files, "--json"]) == 0
    (caution,) = json.loads(capsys.readouterr().out)["cautions"]
    assert "differ in dataset_sha256" in caution


def compared(url, tmp_path, capsys, *sides):
    """Return what is said of two runs that were made with these words each."""
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file, words in zip(files, sides, strict=True):
        assert bench(url, "--dataset", "random", "--num-prompts", "10", *words, "--output-file", file) == 0
    capsys.readouterr()
    assert main(["bench", "compare", *map(str, files), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


SMALL = ("--width", "64", "--height", "64")


@pytest.mark.parametrize(
    ("a", "b", "names"),
    [
        ((*SMALL,), ("--width", "64", "--height", "96"), ["sizes", "load_sha256"]),
        (("--num-inference-steps", "1"), ("--num-inference-steps", "2"), ["steps", "load_sha256"]),
        (("--seed", "1"), ("--seed", "2"), ["load_sha256", "load_seed"]),
        ((), ("--extra-body", '{"x": 1}'), ["extra_body"]),
        ((), ("--send-deadlines",), ["options"]),
        (
            ("--request-rate", "999", "--burstiness", "1"),
            ("--request-rate", "999", "--burstiness", "2"),
            ["burstiness"],
        ),
    ],
)
def test_what_two_runs_do_not_have_in_common_is_told(a, b, names, null_url, tmp_path, capsys):
    cautions = compared(null_url, tmp_path, capsys, a, b)["cautions"]
    assert [caution.split(":")[0] for caution in cautions] == [f"The runs differ in {name}" for name in names]


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (("--slo-ms", "5000"), ("--slo-ms", "50000"), "5 s in the mean (explicit) and 50 s in the mean (explicit)"),
        (("--slo", *SMALL), ("--slo", *SMALL), "vLLM-Omni's estimate"),
        ((), ("--slo-ms", "5000"), "none and 5 s"),
    ],
)
def test_attainments_of_other_deadlines_are_not_compared(a, b, words, null_url, tmp_path, capsys):
    told = compared(null_url, tmp_path, capsys, a, b)
    (caution,) = told["cautions"]
    assert words in caution
    assert not {each["name"] for each in told["differences"]} & {"slo_attainment_rate", "goodput_qps"}


def test_attainments_of_the_same_deadlines_are_compared(null_url, tmp_path, capsys):
    told = compared(null_url, tmp_path, capsys, *[("--slo-ms", "5000")] * 2)
    assert told["cautions"] == []
    assert "slo_attainment_rate" in {each["name"] for each in told["differences"]}


def test_no_result_tells_a_password_of_the_address(null_url, tmp_path):
    page, metrics = tmp_path / "page.html", tmp_path / "o.json"
    argv = [*SAFELIGHT, "bench", "--base-url", null_url.replace("//", "//user:s3c@ret@"), "--task", "t2i"]
    argv += ["--dataset", "random", "--num-prompts", "2", "--report", page, "--output-file", metrics]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    for said in (page.read_text(), metrics.read_text(), done.stdout, done.stderr):
        assert "s3c" not in said
        assert "ret@" not in said
    assert null_url in metrics.read_text()


def test_a_page_tells_no_key(null_url, tmp_path):
    page = tmp_path / "page.html"
    argv = (*SAFELIGHT, "bench", "--base-url", null_url, "--task", "t2i", "--dataset", "random", "--num-prompts", "3")
    done = subprocess.run([*argv, "--report", page, "--api-key", "s3cret", "--header=X:s3cret"], check=False)
    assert done.returncode == 0
    assert "s3cret" not in page.read_text()


RESULT = {"latencies_s": [1.0] * 20, "completed_requests": 20, "failed_requests": 0}


@pytest.mark.parametrize(
    "facts",
    [
        {},
        RESULT | {"latencies_s": [0.0] * 20},
        RESULT | {"latencies_s": [-1.0] * 20},
        RESULT | {"completed_requests": 19},
        RESULT | {"failed_requests": -1},
        RESULT | {"runs": [{"completed_requests": -5}, {"completed_requests": 25}]},
        RESULT | {"failed_share": 1.5},
        RESULT | {"throughput_qps": 1e300},
        RESULT | {"confidence": {"throughput_qps": [-1.0, 1.0]}},
    ],
)
def test_a_file_that_is_no_result_is_told(facts, tmp_path, capsys):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(facts))
    assert main(["bench", "compare", str(path), str(path)]) == 1
    assert path.name in capsys.readouterr().err


def test_a_file_of_an_older_version_is_compared_by_its_latencies(tmp_path, capsys):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(RESULT))
    assert main(["bench", "compare", str(path), str(path)]) == 0
    assert "without intervals" in capsys.readouterr().out


VIDEOS = ("--task", "t2v", "--dataset", "random", "--num-prompts", "3", "--num-frames", "5", "--fps", "12")


def test_videos_are_decoded(null_url, capsys):
    assert main(["bench", "--base-url", null_url, *VIDEOS, "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert (metrics["completed_requests"], metrics["videos_decoded"], metrics["still_videos"]) == (3, True, 0)


def test_without_the_extra_one_sentence_and_the_figures_say_that_videos_are_not_decoded(null_url, tmp_path):
    code = "import sys; sys.modules['av'] = None; from safelight.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["bench", "--base-url", null_url, *VIDEOS, "--json", "--report", str(tmp_path / "page.html")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    metrics = json.loads(done.stdout)
    assert (done.returncode, metrics["completed_requests"], metrics["videos_decoded"]) == (0, 3, False)
    assert done.stderr.count("Videos are not decoded") == done.stderr.count("safelight[video]") == 1
    assert (tmp_path / "page.html").read_text().count("Videos are not decoded") == 1
