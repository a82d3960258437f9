import json
import subprocess
import sys

import polars as pl
import pytest

from safelight.cli import main
from safelight.cli.trace.adapter_commands import capacities_of, sizes_of
from safelight.traces.parquet import write_parquet

TRACE = pl.LazyFrame(
    {
        "arrival_s": [0.0, 1.0, 2.0, 3.0],
        "service": ["A", "A", "A", "B"],
        "instance": ["i", "i", "j", "i"],
        "controlnets": [["c"], ["c"], None, ["d"]],
        "loras": [["x", "y"], ["x"], ["x"], []],
    }
)


@pytest.fixture
def trace(tmp_path):
    write_parquet(TRACE, tmp_path / "trace.parquet", source="a test")
    return str(tmp_path / "trace.parquet")


def run(arguments, capsys):
    """Return exit status, standard output and standard error of `safelight trace`."""
    status = main(["trace", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_adapters_are_told_as_json(trace, capsys):
    status, out, err = run(["adapters", trace, "--service", "A", "--policy", "lru", "--sizes", "1-2", "--json"], capsys)
    assert (status, err) == (0, "")
    first, second = json.loads(out)
    assert first == {
        "service": "A",
        "policy": "LRU",
        "size": 1,
        "requests": 3,
        "controlnet_loads": 1,
        "controlnet_loads_per_request": 1 / 3,
        "lora_loads": 4,
        "lora_loads_per_request": 4 / 3,
        "requests_without_loads": 0,
    }
    assert (second["size"], second["lora_loads"], second["requests_without_loads"]) == (2, 3, 1)


@pytest.mark.parametrize("command", ["popularity", "adapters", "instances", "caches"])
def test_each_question_is_told_as_text_with_findings_and_kept_as_files(command, trace, capsys, tmp_path):
    csv, figure = tmp_path / "t.csv", tmp_path / "t.svg"
    status, out, err = run([command, trace, "--csv", str(csv), "--figure", str(figure)], capsys)
    assert (status, err) == (0, "")
    assert "Service A" in out
    assert len(pl.read_csv(csv)) > 1
    assert figure.read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(("suffix", "start"), [("pdf", b"%PDF"), ("png", b"\x89PNG"), ("SVG", b"<?xml")])
def test_a_figure_has_the_format_of_its_suffix(suffix, start, trace, capsys, tmp_path):
    status, *_ = run(["instances", trace, "--figure", str(tmp_path / f"f.{suffix}")], capsys)
    assert status == 0
    assert (tmp_path / f"f.{suffix}").read_bytes().startswith(start)


def test_columns_in_which_all_rows_agree_are_told_once(trace, capsys):
    _, out, _ = run(["adapters", trace, "--service", "A"], capsys)
    assert (
        out.splitlines()[1]
        == "service A, policy LRU, requests 3, controlnet loads 1, controlnet loads per request 0.3333"
    )


def test_a_long_table_is_cut_short_in_text_only(capsys, tmp_path):
    frame = pl.LazyFrame({"arrival_s": range(30), "loras": [[f"l{number}"] for number in range(30)]})
    write_parquet(frame, tmp_path / "t.parquet", source="a test")
    _, out, _ = run(["popularity", str(tmp_path / "t.parquet")], capsys)
    assert "and 10 rows more" in out
    _, out, _ = run(["popularity", str(tmp_path / "t.parquet"), "--json"], capsys)
    assert len(json.loads(out)) == 30


def test_what_was_published_is_kept_whole(trace, capsys, tmp_path):
    status, out, _ = run(["published", trace, "-o", str(tmp_path / "new" / "folder"), "--format", "svg"], capsys)
    names = ("counting", "popularity", "adapters_LRU", "adapters_LFU", "instances")
    assert status == 0
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(
        f"{name}.{suffix}" for name in names for suffix in ("csv", "svg")
    )
    assert len(out.splitlines()) == len(names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--service", "C"], "No request is for the service 'C'; there is 'A', 'B'."),
        (["--policies", "LRX"], "No policy is named 'LRX'; did you mean 'LRU'?"),
        (["--policies", "ARC,S3FIF"], "No policy is named 'S3FIF'; did you mean 'S3FIFO'?"),
        (["--sizes", "0-3"], "'0-3' must run upwards, from at least 1"),
        (["--sizes", "3-1"], "'3-1' must run upwards"),
        (["--sizes", "1-300"], "more than 200 sizes"),
        (["--sizes", "few"], "'few' is no size; give sizes such as 1-10,20,50."),
        (["--capacities", "2GiB"], "--capacities needs the sizes of adapters"),
        (["--draw-bytes", "1"], "--capacities needs the sizes of adapters"),
        (["--capacities", "2", "--draw-bytes", "1"], "'2' is no capacity; give a number with its unit"),
        (["--capacities", "2GiB", "--sizes", "1"], "give one of them"),
        (
            ["--capacities", "2GiB", "--draw-bytes", "1", "--policies", "LFU"],
            "LFU is only defined for adapters of equal",
        ),
        (["--capacities", "2GiB", "--bytes", "nowhere.csv"], "'nowhere.csv' cannot be read"),
        (["--figure", "f.jpg"], "'f.jpg' must end in .pdf, .png, .svg"),
        (["--csv", "nowhere/t.csv"], "there is no folder 'nowhere'"),
        (["--csv", "f.svg", "--figure", "f.svg"], "named twice"),
    ],
)
def test_misuse_is_told_before_any_work(options, message, trace, capsys):
    status, out, err = run(["caches", trace, *options], capsys)
    assert (status, out) == (1 if "nowhere.csv" in options else 2, "")
    assert message in " ".join(err.split())


@pytest.mark.parametrize("is_first", [True, False])
def test_a_table_never_replaces_the_trace(is_first, trace, capsys):
    options = ["--csv", trace]
    status, *_ = run(["popularity", *([trace, *options] if is_first else [*options, trace])], capsys)
    assert status == 2


def test_a_trace_without_requests_is_told(capsys, tmp_path):
    write_parquet(TRACE.filter(pl.col("arrival_s") > 9), tmp_path / "empty.parquet", source="a test")
    status, out, err = run(["instances", str(tmp_path / "empty.parquet")], capsys)
    assert (status, out) == (2, "")
    assert "has no requests" in err


def test_policies_of_libcachesim_name_their_extra_where_it_is_not_installed(trace):
    code = "import sys; sys.modules['libcachesim'] = None; from safelight.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["trace", "caches", trace, "--policies", "LRU,ARC"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs libcachesim, which comes with the extra [caches]" in done.stderr


def test_adapters_of_given_bytes_are_cached_in_bytes(trace, capsys, tmp_path):
    (tmp_path / "sizes.csv").write_text("x,1000000\ny,2000000\n")
    options = ["--capacities", "3MB,0.5MB", "--bytes", str(tmp_path / "sizes.csv"), "--host", "1GB", "--json"]
    status, out, _ = run(["caches", trace, "--service", "A", *options], capsys)
    assert status == 0
    assert [(row["size"], row["loads"]) for row in json.loads(out)] == [(500_000, 4), (3_000_000, 3)]


def test_sizes_and_capacities_are_read_in_their_units():
    assert sizes_of("1-3, 10,2") == [1, 2, 3, 10]
    assert capacities_of("2GiB,1.5KB") == [1500, 2 << 30]
