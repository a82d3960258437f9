"""The outcome log: a trace that the server writes, whatever becomes of the disk."""

import json
import re
from pathlib import Path

import pytest

from fakes.live_server import LiveServer, eventually, web
from safelight.traces.reading import open_trace
from server.test_edits import CLEAR, OPAQUE, SOURCE, data_url, half


def post(server, route="generations", **body):
    return web.post(f"{server.url}/v1/images/{route}", json={"prompt": "x"} | body)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_costs_lines_and_no_pictures():
    with LiveServer(outcomes=Path("/dev/full")) as server:
        assert [post(server).status_code for _ in range(3)] == [200] * 3
        eventually(lambda: lines_lost(server) == 3)
        assert server.log.count("outcomes are lost") == 1


def lines_lost(server):
    """How many lines the metrics say are lost."""
    text = web.get(f"{server.url}/metrics").text
    return float(re.search(r"^safelight_outcome_lines_lost_total (\S+)", text, re.MULTILINE)[1])


def test_a_log_that_was_moved_away_is_written_anew(tmp_path):
    log, moved = tmp_path / "outcomes.jsonl", tmp_path / "outcomes.jsonl.1"
    with LiveServer(outcomes=log) as server:
        post(server)
        eventually(lambda: log.stat().st_size)
        log.rename(moved)
        post(server)
    assert [len(file.read_text().splitlines()) for file in (log, moved)] == [1, 1]


def test_edits_are_logged_as_what_they_are(tmp_path):
    log = tmp_path / "outcomes.jsonl"
    with LiveServer(outcomes=log) as server:
        post(server)
        post(server, "edits", image=data_url(SOURCE), strength=0.4)
        post(server, "edits", image=data_url(SOURCE), mask=data_url(half(OPAQUE, CLEAR)))
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["task"], row.get("strength")) for row in rows] == [
        ("text-to-image", None),
        ("image-to-image", 0.4),
        ("inpainting", 1.0),
    ]
    assert open_trace(log).frame.collect()["task"].to_list() == [row["task"] for row in rows]
