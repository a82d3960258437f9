"""Which policies there are, and how users choose them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from safelight.control.policies import (
    DETERMINISTIC,
    MEMBERS,
    PRESETS,
    Policies,
    describe_policies,
    deterministic_policies_from,
    members,
    policies_from,
)
from safelight.core.errors import InvalidParameter

EVERY = [(family, policy.name) for family, policies in MEMBERS.items() for policy in policies]
every_policy = pytest.mark.parametrize(("family", "name"), EVERY, ids="=".join)

INSTALLED = """
from safelight.control.levels.as_asked import AsAsked

class Mine:
    \"\"\"Always the last worker.\"\"\"
    name = "mine"
    family = "routing"
    def choose(self, request, fleet, now):
        return fleet.with_room[-1] if fleet.with_room else None

class MyLevels(AsAsked):
    \"\"\"Levels of my own.\"\"\"
    name = "mine"
    family = "level"

ROUTING, LEVEL = Mine(), MyLevels()
"""


@every_policy
def test_every_policy_can_be_chosen_by_its_name(family, name):
    assert policies_from([f"{family}={name}"]).names[family] == name


@every_policy
def test_a_choice_changes_no_other_family(family, name):
    defaults = Policies().names
    assert policies_from([f"{family}={name}"]).names == {**defaults, family: name}


@every_policy
def test_the_description_lists_every_policy_with_what_it_does(family, name):
    (line,) = [line for line in _section(family) if line[2:].split(" ")[0] == name]
    assert len(line[2 + len(name) :].strip()) > 10


@every_policy
def test_a_deterministic_choice_is_refused_by_name_where_the_picture_would_depend_on_it(family, name):
    if DETERMINISTIC.get(family, name) == name:
        assert deterministic_policies_from([f"{family}={name}"]).names == Policies().names | DETERMINISTIC | {
            family: name
        }
        return
    with pytest.raises(InvalidParameter, match=f"{family}={name}.*--deterministic needs"):
        deterministic_policies_from([f"{family}={name}"])


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_can_be_deterministic(preset):
    assert deterministic_policies_from([preset.name]).names.items() >= DETERMINISTIC.items()


def _section(family):
    _, _, after = describe_policies().partition(f"\n{family} (--policy {family}=NAME):\n")
    return after.partition("\n\n")[0].splitlines()


@pytest.mark.parametrize("family", MEMBERS)
def test_the_description_marks_the_default_of_each_family(family):
    marked = [line[2:].split(" ")[0] for line in _section(family) if line.startswith("*")]
    assert marked == [Policies().names[family]]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_chooses_what_it_says_and_else_the_defaults(preset):
    assert policies_from([preset.name]).names == {**Policies().names, **preset.choices}
    assert f"  {preset.name}" in describe_policies()


def test_without_a_choice_every_family_has_its_default():
    assert policies_from([]) == Policies()


def test_a_later_choice_overrides_an_earlier_one():
    chosen = policies_from(["routing=affinity", "throughput", "order=deadline"]).names
    assert (chosen["routing"], chosen["order"], chosen["batching"]) == ("least-loaded", "deadline", "full")


@pytest.mark.parametrize(
    ("choice", "hint"),
    [
        ("routing=afinity", "did you mean 'affinity'"),
        ("rooting=affinity", "did you mean 'routing'"),
        ("throughputs", "did you mean 'throughput'"),
        ("level=", "there is 'as-asked'"),
        ("=affinity", "there is 'order'"),
        ("", "write a preset or FAMILY=NAME"),
        ("adapter_mode=payback", "did you mean 'adapter-mode'"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_nearest_name(choice, hint):
    with pytest.raises(InvalidParameter, match=hint) as caught:
        policies_from([choice])
    assert caught.value.param == "policy"


def test_a_worker_gets_the_families_that_it_must_know_as_options():
    policies = policies_from(["order=arrival", "batching=full", "adapter-mode=always-merged", "routing=affinity"])
    choices = ["order=arrival", "batching=full", "adapter-mode=always-merged"]
    assert policies.worker_options == tuple(word for choice in choices for word in ("--policy", choice))


@pytest.mark.parametrize("family", MEMBERS)
def test_no_two_policies_of_a_family_have_one_name(family):
    names = [policy.name for policy in members(family)]
    assert len(set(names)) == len(names)


def run_with(folder, code, *, installed=INSTALLED, entries=("routing = mine:ROUTING", "level = mine:LEVEL")):
    """Run code where a package with these entry points is installed."""
    (folder / "mine.py").write_text(installed)
    info = folder / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[safelight.policies]", *entries, ""]))
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


def test_policies_of_an_installed_package_can_be_chosen_like_our_own(tmp_path):
    code = """
import json
from safelight.control.policies import describe_policies, policies_from
chosen = policies_from(["routing=mine", "level=mine"])
print(json.dumps([dict(chosen.names), type(chosen.routing).__name__, describe_policies()]))
"""
    ran = run_with(tmp_path, code)
    assert ran.returncode == 0, ran.stderr
    names, kind, description = json.loads(ran.stdout)
    assert (names["routing"], names["level"], kind) == ("mine", "mine", "Mine")
    assert "Always the last worker." in description
    assert "Levels of my own." in description


def test_an_installed_routing_policy_decides_where_requests_go(tmp_path):
    code = """
from control.driven_fleet import DrivenFleet, assigned
from safelight.control.policies import policies_from
print(assigned(DrivenFleet("a", "b", "c", policies=policies_from(["routing=mine"])).arrive()))
"""
    (tmp_path / "control").symlink_to(Path(__file__).parent)
    ran = run_with(tmp_path, code)
    assert ran.stdout.strip() == "[('one', 'c', 1)]", ran.stderr


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('family = "routing"', 'family = "rooting"', "no family is called 'rooting'"),
        ('name = "mine"', 'name = "affinity"', "the name 'affinity' is taken"),
        ('family = "routing"', "", "no attribute 'family'"),
    ],
)
def test_an_installed_policy_that_cannot_be_used_is_named_with_the_reason(tmp_path, old, new, reason):
    code = """
from safelight.control.policies import policies_from
from safelight.core.errors import ExtensionError
try:
    policies_from(["routing=affinity"])
except ExtensionError as error:
    print(error)
"""
    ran = run_with(tmp_path, code, installed=INSTALLED.replace(old, new, 1), entries=("routing = mine:ROUTING",))
    assert reason in ran.stdout, ran.stderr
