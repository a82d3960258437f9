"""Datasets and endpoints that installed packages add can be used from the command line."""

import json
import os
import subprocess
import sys

import pytest

MODULE = """
from dataclasses import dataclass
from typing import ClassVar

from safelight.bench.datasets.dataset import Dataset, from_prompts
from safelight.bench.endpoints.generations import Generations

HAIKU = Dataset(name="haiku", read=lambda options: from_prompts(options, ["an old silent pond"]))


@dataclass(frozen=True)
class Other:
    name: ClassVar[str] = "other"
    input_kinds: ClassVar[frozenset[str]] = frozenset()
    takes_several_inputs: ClassVar[bool] = False
    returns_videos: ClassVar[bool] = False

    async def send(self, request, options, client, until_s):
        return await Generations().send(request, options, client, until_s)


OTHER = Other()
BROKEN = object()
"""

ENTRY_POINTS = """\
[safelight.datasets]
haiku = fake_extension:HAIKU

[safelight.endpoints]
other = fake_extension:OTHER
"""


@pytest.fixture
def install(tmp_path):
    """Return a function that runs `safelight bench` where a distribution with these entry points is installed."""

    def install(entry_points):
        folder = tmp_path / "site"
        (folder / "fake-1.0.dist-info").mkdir(parents=True)
        (folder / "fake_extension.py").write_text(MODULE)
        (folder / "fake-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
        (folder / "fake-1.0.dist-info" / "entry_points.txt").write_text(entry_points)
        path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])

        def bench(*words):
            return subprocess.run(
                [sys.executable, "-m", "safelight", "bench", *words],
                env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
                capture_output=True,
                text=True,
                check=False,
            )

        return bench

    return install


def test_an_installed_dataset_and_endpoint_are_used(null_url, install, tmp_path):
    log = tmp_path / "log.jsonl"
    words = ("--task", "t2i", "--dataset", "haiku", "--endpoint", "other", "--num-prompts", "3", "--no-check")
    done = install(ENTRY_POINTS)("--base-url", null_url, *words, "--json", "--log", str(log))
    assert (done.returncode, done.stderr.count("error")) == (0, 0)
    results = json.loads(done.stdout)
    assert (results["dataset"], results["endpoint"], results["completed_requests"]) == ("haiku", "other", 3)
    assert {json.loads(line)["prompt"] for line in log.read_text().splitlines()} == {"an old silent pond"}


@pytest.mark.parametrize("command", [(), ("sweep",), ("capacity",)])
def test_help_lists_installed_members(install, command):
    said = " ".join(install(ENTRY_POINTS)(*command, "--help").stdout.replace("│", " ").split())
    assert "custom, shapes or haiku." in said
    assert "/v1/videos or other; else by task." in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--dataset", "haik"), "No dataset is 'haik'; did you mean 'haiku'?"),
        (("--dataset", "random", "--endpoint", "othe"), "No endpoint is 'othe'; did you mean 'other'?"),
    ],
)
def test_errors_name_installed_members(install, words, message):
    done = install(ENTRY_POINTS)("--task", "t2i", *words)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


def test_a_member_that_cannot_be_used_is_named(install):
    done = install("[safelight.datasets]\nbroken = fake_extension:BROKEN\n")("--task", "t2i", "--dataset", "broken")
    assert done.returncode == 1
    assert "fake_extension:BROKEN" in done.stderr
