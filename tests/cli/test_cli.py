import json
import signal
import socket
import subprocess
import sys
from importlib.metadata import version

import pytest
from PIL import Image

from fakes.live_server import LiveServer
from safelight.cli import main
from safelight.local.model_folders import SHIPPED_MODELS

COMMANDS = ("serve", "generate", "adapters", "keys", "trace", "simulate", "train", "score")
SUBCOMMANDS = {
    "adapters": ("add", "list", "remove", "inspect"),
    "keys": ("add", "list", "remove"),
    "trace": (
        "convert",
        "describe",
        "popularity",
        "adapters",
        "instances",
        "caches",
        "published",
        "arrivals",
        "burstiness",
        "gaps",
        "cooccurrence",
        "reuse",
        "working-set",
        "routing",
        "report",
    ),
    "train": ("shapes",),
    "score": ("shapes", "adapters"),
}


SMALL = str(SHIPPED_MODELS / "shapes-small")


def run(arguments, capsys):
    """Return exit status, standard output and standard error of one command line."""
    status = main(arguments)
    said = capsys.readouterr()
    return status, said.out, said.err


def look_at(path):
    """Return format and size of a picture file."""
    with Image.open(path) as image:
        return image.format, image.size


def test_the_version_is_told(capsys):
    assert run(["--version"], capsys) == (0, f"safelight {version('safelight')}\n", "")


def test_python_dash_m_is_the_same_command():
    said = subprocess.run([sys.executable, "-m", "safelight", "--version"], check=True, capture_output=True, text=True)
    assert said.stdout == f"safelight {version('safelight')}\n"


def test_help_lists_every_command(capsys):
    status, out, _ = run(["--help"], capsys)
    assert status == 0
    assert [command for command in COMMANDS if command not in out] == []


@pytest.mark.parametrize(
    "command",
    [
        [],
        *([command] for command in COMMANDS),
        *([group, command] for group, commands in SUBCOMMANDS.items() for command in commands),
    ],
)
def test_every_help_has_examples(command, capsys):
    _, out, _ = run([*command, "--help"], capsys)
    assert "Example" in out
    assert out.count("safelight ") >= 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serv"], "Did you mean 'serve'?"),
        (["serve", "--prot", "80"], "--port"),
        (["serve", "--port", "eighty"], "--port"),
        (["serve", "--port", "99999"], "--port"),
        (["serve", "--workers", "0"], "--workers"),
        (["serve", "--max-json-depth", "1000"], "--max-json-depth"),
        (["serve", "--body-budget-bytes", "1000"], "--body-budget-bytes"),
        (["serve", "--adapter-mode", "paybck"], "did you mean 'payback'"),
        (["serve", "--keys", "no/such/file"], "'no/such/file'"),
        (["serve", "--max-waiting-per-tenant", "0"], "--max-waiting-per-tenant"),
        (["serve", "--wrong-keys-per-minute", "0"], "--wrong-keys-per-minute"),
        (["keys", "add", "alice"], "--file"),
        (
            ["serve", "--deterministic", "--adapter-mode", "payback"],
            "--deterministic needs adapter-mode=always-unmerged",
        ),
        (["serve", "--deterministic", "--policy", "adapter-mode=dlora-credit"], "--deterministic needs"),
        (["serve", "--model", "no/such/folder"], "'no/such/folder'"),
        (["serve", "--adapters", "no/such/folder"], "'no/such/folder'"),
        (["serve", "--log-format", "xml"], "--log-format"),
        (["serve", "--log-level", "loud"], "--log-level"),
        (["serve", "--otlp-endpoint", "collector"], "'collector'"),
        (["score", "shape"], "Did you mean 'shapes'?"),
        (["generate"], "PROMPT"),
        (["generate", "a heart", "-o", "heart.bmp"], "'.bmp'; pictures end in .png"),
        (["generate", "a heart", "-o", "heart"], "pictures end in .png"),
        (["generate", "a heart", "-o", "no/such/heart.png"], "no/such"),
        (["generate", "a heart", "--steps", "few"], "--steps"),
        (["generate", "a heart", "--strength", "0.5"], "name it with --image"),
        (["generate", "a heart", "--image", "heart.bmp"], "'heart.bmp' is no .png"),
        (["generate", "a heart", "--control", "edges"], "write NAME=FILE"),
    ],
)
def test_misuse_is_one_line_on_standard_error_and_status_two(arguments, words, capsys):
    status, out, err = run(arguments, capsys)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_folder_cannot_be_sent_to_a_server(tmp_path, capsys):
    output = str(tmp_path / "heart.png")
    arguments = ["generate", "a heart", "-o", output, "--model", str(tmp_path), "--server", "http://127.0.0.1:1"]
    status, _, err = run(arguments, capsys)
    assert status == 2
    assert "Leave --server out" in err


def test_a_server_that_was_named_but_is_silent_is_a_failure(tmp_path, capsys):
    output = tmp_path / "heart.png"
    status, _, err = run(["generate", "a heart", "-o", str(output), "--server", "http://127.0.0.1:1"], capsys)
    assert (status, output.exists()) == (1, False)
    assert "http://127.0.0.1:1" in err


def test_a_folder_that_is_no_model_is_a_failure_in_the_workers_words(tmp_path, capsys):
    status, _, err = run(["generate", "a heart", "-o", str(tmp_path / "heart.png"), "-m", str(tmp_path)], capsys)
    assert status == 1
    assert "model_index.json" in err


def test_a_picture_to_start_from_that_is_not_there_is_a_failure_that_names_it(tmp_path, capsys):
    output = str(tmp_path / "heart.png")
    status, _, err = run(["generate", "a heart", "-o", output, "--image", "no/such.png"], capsys)
    assert status == 1
    assert "no/such.png" in err


def test_scoring_a_folder_without_the_models_is_a_failure_that_names_it(tmp_path, capsys):
    status, out, err = run(["score", "shapes", "--json", "--folder", str(tmp_path)], capsys)
    assert (status, out) == (1, "")
    assert str(tmp_path / "shapes-large") in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["generate", "a heart", "-m", "."],
        ["adapters", "inspect", "."],
        ["train", "shapes"],
        ["score", "shapes"],
    ],
)
def test_without_the_extra_one_sentence_names_it(arguments):
    program = f"import sys; sys.modules['torch'] = None; from safelight.cli import main; sys.exit(main({arguments}))"
    said = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert said.returncode == 1
    assert said.stderr.strip() == (
        "error: This command needs torch, which comes with the extra [serve]: pip install 'safelight[serve]'."
    )


def test_traces_without_their_extra_are_one_sentence_that_names_it():
    arguments = ["serve", "--otlp-endpoint", "http://127.0.0.1:4318"]
    program = "import sys; sys.modules['opentelemetry.sdk'] = None; from safelight.cli import main; "
    said = subprocess.run(
        [sys.executable, "-c", f"{program}sys.exit(main({arguments}))"], check=False, capture_output=True, text=True
    )
    assert said.returncode == 1
    assert said.stderr.strip() == (
        "error: This command needs opentelemetry.sdk, which comes with the extra [otel]: pip install 'safelight[otel]'."
    )


@pytest.fixture(scope="module")
def server():
    with LiveServer() as server:
        yield server


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".jpg", "JPEG"), (".JPEG", "JPEG"), (".webp", "WEBP")])
def test_a_running_server_paints_in_the_format_of_the_files_name(suffix, kind, server, tmp_path, capsys):
    output = tmp_path / f"heart{suffix}"
    status, _, _ = run(["generate", "a heart", "-o", str(output), "--server", server.url], capsys)
    assert (status, look_at(output)) == (0, (kind, (64, 64)))


NO_CASCADE = dict.fromkeys(
    (
        "cascade",
        "gate",
        "gate_score",
        "threshold",
        "hardness",
        "promise",
        "kept_promise",
        "reused",
        "predicted_loss",
    )
)


def test_every_option_reaches_the_server(server, tmp_path, capsys):
    output = str(tmp_path / "heart.png")
    options = ["--model", "null-small", "--seed", "7", "--steps", "3", "--guidance", "2", "--sampler", "ddim"]
    status, out, _ = run(
        ["generate", "a heart", "-o", output, "--server", f"{server.url}/", "--negative", "red", "--json", *options],
        capsys,
    )
    told = json.loads(out)
    seconds = told.pop("seconds")
    assert (status, seconds >= 0) == (0, True)
    assert told == {
        "file": output,
        "model": "null-small",
        "steps": 3,
        "steps_run": 3,
        "steps_without_loras": 0,
        "sampler": "ddim",
        "seed": 7,
        "painted_by": server.url,
        "quality": {"levels": ["null-small"], "reason": "asked", "kept_for_deadline": False} | NO_CASCADE,
    }


def test_a_picture_to_start_from_reaches_the_server_with_its_mask(server, tmp_path, capsys):
    source, mask, output = (tmp_path / name for name in ("source.png", "mask.webp", "edited.png"))
    Image.new("RGB", (64, 64), (200, 30, 30)).save(source)
    white_left = Image.new("L", (64, 64))
    white_left.paste(255, (0, 0, 32, 64))
    white_left.save(mask, lossless=True)
    options = ["--image", str(source), "--mask", str(mask), "--strength", "0.5", "--server", server.url]
    status, _, _ = run(["generate", "a heart", "-o", str(output), *options], capsys)
    edited = Image.open(output)
    assert (status, edited.getpixel((5, 5)), edited.getpixel((60, 5))) == (0, (128, 128, 128), (200, 30, 30))


def test_what_the_server_refuses_is_misuse_in_its_words(server, tmp_path, capsys):
    output = tmp_path / "heart.png"
    arguments = ["generate", "a heart", "-o", str(output), "--server", server.url, "--model", "nul-large"]
    status, _, err = run(arguments, capsys)
    assert (status, output.exists()) == (2, False)
    assert "did you mean 'null-large'" in err


def test_serving_on_a_taken_port_is_a_failure_that_names_it(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, _, err = run(["serve", "--model", str(tmp_path), "--port", port], capsys)
    assert status == 1
    assert f"127.0.0.1:{port}" in err


def test_serving_beyond_this_machine_without_a_key_is_refused(tmp_path, capsys):
    status, _, err = run(["serve", "--model", str(tmp_path), "--host", "0.0.0.0", "--port", "0"], capsys)
    assert status == 1
    assert "--api-key" in err


def test_a_picture_can_be_painted_without_a_server(tmp_path, capsys):
    output = tmp_path / "heart.png"
    status, out, _ = run(["generate", "a pink heart", "-o", str(output), "-m", SMALL, "--seed", "7", "--json"], capsys)
    assert (status, look_at(output)) == (0, ("PNG", (64, 64)))
    assert json.loads(out)["painted_by"] == "this machine"


def test_serve_says_when_it_is_ready_and_ends_well_on_sigterm():
    command = [sys.executable, "-m", "safelight", "serve", "--port", "0", "--model", SMALL]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as serving:
        said = next(line for line in serving.stderr if "ready at http://127.0.0.1:" in line)
        serving.send_signal(signal.SIGTERM)
        serving.stderr.read()
    assert "Safelight is ready" in said
    assert serving.returncode == 0
