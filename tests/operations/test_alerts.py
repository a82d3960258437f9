"""The alert rules for Prometheus: they look at metrics that exist, and lead to a page that says what to do."""

import re
from pathlib import Path

import pytest
import yaml

from operations.promql import selected

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
ALERTS = [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
ADDED_BY_PROMETHEUS = {"instance", "job"}
every_alert = pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])


def headings():
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    return {
        re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in re.findall(r"(?m)^#+ (.*)$", page)
    }


def test_names_are_unique():
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS) > 0


@every_alert
def test_an_alert_looks_at_metrics_and_labels_that_exist(rule, metrics):
    looked_at = list(selected(rule["expr"]))
    assert looked_at
    for name, labels in looked_at:
        assert name in metrics.samples, f"{rule['alert']} looks at {name}, which /metrics does not have"
        unknown = labels - metrics.samples[name] - ADDED_BY_PROMETHEUS
        assert not unknown, f"{rule['alert']} looks at labels {unknown} that {name} does not have"


@every_alert
def test_an_alert_has_a_severity_a_duration_and_a_summary(rule):
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert rule["annotations"]["summary"].endswith(".")
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}


@every_alert
def test_an_alert_leads_to_a_section_of_the_operations_page(rule):
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == "docs/operations.md"
    assert anchor in headings(), f"docs/operations.md has no section {anchor!r} for {rule['alert']}"
    assert anchor == rule["alert"].lower()
