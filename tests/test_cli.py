import subprocess
import sys
from importlib.metadata import version

import pytest

from safelight.cli import main

COMMANDS = ("serve", "generate", "train", "score")


def run(arguments, capsys):
    """Return exit status, standard output and standard error of one command line."""
    status = main(arguments)
    said = capsys.readouterr()
    return status, said.out, said.err


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
    "command", [[], *([command] for command in COMMANDS), ["train", "shapes"], ["score", "shapes"]]
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
        (["serve", "--model", "no/such/folder"], "'no/such/folder'"),
        (["score", "shape"], "Did you mean 'shapes'?"),
        (["generate"], "PROMPT"),
        (["generate", "a heart", "-o", "heart.bmp"], "'.bmp'; pictures end in .png"),
        (["generate", "a heart", "-o", "heart"], "pictures end in .png"),
        (["generate", "a heart", "-o", "no/such/heart.png"], "no/such"),
        (["generate", "a heart", "--steps", "few"], "--steps"),
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


def test_scoring_a_folder_without_the_models_is_a_failure_that_names_it(tmp_path, capsys):
    status, out, err = run(["score", "shapes", "--json", "--folder", str(tmp_path)], capsys)
    assert (status, out) == (1, "")
    assert str(tmp_path / "shapes-large") in err


@pytest.mark.parametrize(
    "arguments", [["serve"], ["generate", "a heart", "-m", "."], ["train", "shapes"], ["score", "shapes"]]
)
def test_without_the_extra_one_sentence_names_it(arguments):
    program = f"import sys; sys.modules['torch'] = None; from safelight.cli import main; sys.exit(main({arguments}))"
    said = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert said.returncode == 1
    assert said.stderr.strip() == (
        "error: This command needs torch, which comes with the extra [serve]: pip install 'safelight[serve]'."
    )
