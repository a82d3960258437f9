"""The Grafana dashboard: it shows metrics that exist, and every metric of ours."""

import json
import re
from pathlib import Path

import pytest

from operations.promql import selected

DASHBOARD = json.loads(
    (Path(__file__).parents[2] / "deploy" / "grafana" / "safelight.json").read_text(encoding="utf-8")
)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
ADDED_BY_PROMETHEUS = {"instance", "job"}
NOT_SHOWN = {
    "process_start_time_seconds": "restarts show as gaps",
    "process_virtual_memory_bytes": "says nothing about the memory in use",
}
"""Metrics that the dashboard leaves out on purpose."""


def parsed(expression):
    return list(selected(expression.replace("$__rate_interval", "5m").replace("$instance", ".*")))


@pytest.mark.parametrize(("title", "expression"), QUERIES, ids=[f"{title}-{n}" for n, (title, _) in enumerate(QUERIES)])
def test_a_panel_shows_metrics_and_labels_that_exist(title, expression, metrics):
    looked_at = parsed(expression)
    assert looked_at
    for name, labels in looked_at:
        assert name in metrics.samples, f"the panel {title!r} shows {name}, which /metrics does not have"
        unknown = labels - metrics.samples[name] - ADDED_BY_PROMETHEUS
        assert not unknown, f"the panel {title!r} uses labels {unknown} that {name} does not have"


def test_every_metric_is_shown_or_left_out_on_purpose(metrics):
    names = {re.sub(r"_(bucket|count|sum)$", "", name) for _, expression in QUERIES for name, _ in parsed(expression)}
    missing = set(metrics.families) - names - set(NOT_SHOWN)
    assert not missing, f"deploy/grafana/safelight.json does not show {sorted(missing)}"


def test_legends_name_labels_that_their_queries_keep():
    for panel in PANELS:
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", target["expr"]))))
            kept = grouped if " by (" in target["expr"] else named
            assert named <= kept, f"the panel {panel['title']!r} names {named - kept} in a legend"


def test_panels_have_titles_descriptions_and_units():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_panels_do_not_overlap():
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_data_source_is_the_users_choice():
    assert {json.dumps(target["datasource"]) for panel in PANELS for target in panel["targets"]} == {
        json.dumps({"type": "prometheus", "uid": "${datasource}"})
    }
