"""`safelight reuse`."""

import json

import pytest

from fakes.live_server import LiveServer, web
from safelight.cli.main import main
from safelight.service.reuse.settings import ReuseSettings


@pytest.fixture(scope="module")
def server():
    with LiveServer(reuse=ReuseSettings(mode="private")) as running:
        body = {"prompt": "a red star", "seed": 1, "reuse": "exact"}
        for _ in range(2):
            web.post(f"{running.url}/v1/images/generations", json=body)
        yield running


def test_stats_shows_what_is_kept_and_saved(server, capsys):
    assert main(["reuse", "stats", "--server", server.url]) == 0
    said = capsys.readouterr().out
    assert "private, all tenants" in said
    assert "pictures        1" in said


def test_stats_prints_one_document(server, capsys):
    assert main(["reuse", "stats", "--server", server.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == 1


def test_compare_names_the_kinds_of_files_that_it_writes(capsys):
    assert main(["reuse", "compare", "--cached", "a", "--query", "b", "-o", "sheet.jpg"]) == 2
    assert ".html nor a .png" in capsys.readouterr().err
