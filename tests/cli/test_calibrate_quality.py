"""`safelight calibrate --quality`, on the small shipped model and few pictures."""

import pytest

from profiles.makers import a_profile
from safelight.cli.main import main
from safelight.profiles.profile import Profile

ARGUMENTS = ["calibrate", "--model", "shapes-small", "--quality", "--pictures", "4", "--steps", "2"]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profiles")
    times = folder / "times.toml"
    times.write_text(a_profile(model="shapes-small").to_toml())
    assert main([*ARGUMENTS, "--times", str(times), "-o", str(folder / "p.toml")]) == 0
    return Profile.from_toml((folder / "p.toml").read_text())


def test_the_asked_steps_and_the_models_own_are_judged(judged):
    assert {level.steps for level in judged.quality} == {2, 8}
    assert judged.quality_of(steps=2) < judged.quality_of(steps=8)
    assert "scene score" in judged.quality_metric


def test_starts_from_earlier_pictures_are_judged_by_similarity(judged):
    assert judged.similarity
    for level in judged.similarity:
        assert level.curve[-1][0] == pytest.approx(1)
        assert judged.quality_from(1.0, steps=8, first_step=level.first_step) == level.curve[-1][1]


def test_times_are_those_of_the_given_profile(judged):
    assert judged.step_times == a_profile().step_times


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "shapes-small", "--steps", "3"], "--steps is about the quality of pictures; add --quality"),
        (["--model", "{folder}", "--quality"], "knows the pictures of shapes-large and shapes-small"),
        (["--model", "shapes-small", "--quality", "--heavy", "shapes-large"], "name the gate with --gate FILE"),
        (["--model", "shapes-small", "--quality", "--gate", "{folder}/no"], "there is no such file"),
        (["--model", "shapes-large", "--quality", "--times", "{times}"], "is of 'shapes-small', and --model is"),
        (["--model", "shapes-small", "--quality", "--times", "{folder}/no"], "No such file"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_painted(arguments, words, capfd, tmp_path):
    times = tmp_path / "times.toml"
    times.write_text(a_profile(model="shapes-small").to_toml())
    given = [part.format(folder=tmp_path, times=times) for part in arguments]
    assert main(["calibrate", *given]) in (1, 2)
    assert words in " ".join(capfd.readouterr().err.split())
