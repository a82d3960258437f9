"""`safelight profiles`: what comes with the package, and what a profile says."""

import json

from safelight.cli.main import main
from safelight.profiles.builtin import builtin_names, builtin_profile
from safelight.profiles.profile import Profile


def test_the_list_names_every_built_in_profile_with_its_source(capsys):
    assert main(["profiles", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown and builtin_profile(name).source in shown for name in builtin_names())
    assert main(["profiles", "list", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == list(builtin_names())


def test_a_profile_is_shown_with_what_it_lacks(capsys):
    assert main(["profiles", "show", "sd-turbo-a100"]) == 0
    shown = capsys.readouterr().out
    assert "32 rows 1,560.00 ms" in shown
    assert "ControlNet, in a call  not measured" in shown


def test_a_profile_is_printed_as_a_file_that_reads_back(capsys, tmp_path):
    assert main(["profiles", "show", "sdxl-h800", "--toml"]) == 0
    text = capsys.readouterr().out
    assert Profile.from_toml(text) == builtin_profile("sdxl-h800")
    (tmp_path / "mine.toml").write_text(text)
    assert main(["profiles", "show", str(tmp_path / "mine.toml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "sdxl"


def test_an_unknown_profile_and_two_forms_at_once_are_misuse(capsys):
    assert main(["profiles", "show", "sdxl-h80"]) == 2
    assert "sdxl-h800" in capsys.readouterr().err
    assert main(["profiles", "show", "sdxl-h800", "--toml", "--json"]) == 2
