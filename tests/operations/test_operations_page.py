"""`docs/operations.md` says what is: limits, flags, metrics, log events, alerts."""

import re
from pathlib import Path

import pytest
import typer.main
import yaml

from operations.fixed_limits import FIXED_LIMITS
from operations.log_events import log_events
from safelight.cli.main import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
UNITS = {"": 1, "s": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
NO_OPTIONS_OF_A_SERVER = {"--help"}


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title):
    """The cells of the first table of a section, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def flags_of_serve():
    """The default of each option of `safelight serve`, by its main name."""
    command = typer.main.get_command(app).commands["serve"]
    return {option.opts[0]: option.default for option in command.params} | dict.fromkeys(NO_OPTIONS_OF_A_SERVER)


def numbers(text):
    """The numbers in a text, in bytes, seconds or pieces."""
    found = re.findall(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?)(?: ?(KiB|MiB|GiB|bytes|s)\b)?", text)
    return [float(number.replace(",", "")) * UNITS[unit] for number, unit in found]


LIMITS = rows("Limits")
FLAGGED = [(limit, flag.strip("`"), default) for limit, flag, default, _ in LIMITS if flag.startswith("`--")]
FIXED = [(limit, default) for limit, flag, default, _ in LIMITS if not flag.startswith("`--")]


@pytest.mark.parametrize("flag", sorted(flags_of_serve().keys() - NO_OPTIONS_OF_A_SERVER))
def test_the_page_has_every_flag_of_serve(flag):
    assert f"`{flag}`" in PAGE, f"flag {flag} is not in docs/operations.md"


@pytest.mark.parametrize(("limit", "flag", "default"), FLAGGED, ids=[flag for _, flag, _ in FLAGGED])
def test_a_limit_with_a_flag_has_its_default(limit, flag, default):
    flags = flags_of_serve()
    assert flag in flags, f"docs/operations.md has the flag {flag}, which `safelight serve` does not know"
    if flags[flag] is None:
        assert not numbers(default), f"{flag} has no default number, but docs/operations.md says {default!r}"
    else:
        assert numbers(default)[:1] == [flags[flag]], (
            f"{flag} is {flags[flag]}, but docs/operations.md says {default!r}"
        )


@pytest.mark.parametrize(("limit", "default"), FIXED, ids=[limit[:40] for limit, _ in FIXED])
def test_a_limit_without_a_flag_is_that_of_the_code(limit, default):
    assert limit in FIXED_LIMITS, f"name the constant of the limit {limit!r} in tests/operations/fixed_limits.py"
    assert numbers(default) == FIXED_LIMITS[limit], f"docs/operations.md says {default!r} for {limit!r}"


def test_no_limit_is_forgotten():
    assert FIXED_LIMITS.keys() - {limit for limit, *_ in LIMITS} == set()


def test_the_page_has_every_metric_with_its_labels(metrics):
    documented = {name.strip("`"): set(re.findall(r"`(\w+)`", labels)) for name, labels, _ in rows("Metrics")}
    for name, labels in metrics.families.items():
        assert name in documented, f"metric {name} is not in docs/operations.md"
        assert documented[name] == labels, f"metric {name} has the labels {labels or 'none'}"
    assert documented.keys() - metrics.families.keys() == set()


def test_the_page_has_every_log_event_with_its_level_and_fields():
    documented = {
        event.strip("`"): (level, set(re.findall(r"`(\w+)`", fields))) for event, level, fields, _ in rows("Logs")
    }
    events = log_events()
    for name, event in events.items():
        assert name in documented, f"log event {name!r} is not in docs/operations.md"
        level, fields = documented[name]
        assert level in event.levels, f"log event {name!r} has the level {sorted(event.levels)}"
        assert fields == event.fields, f"log event {name!r} has the fields {sorted(event.fields)}"
    assert documented.keys() - events.keys() == set()


def test_the_page_has_a_section_for_every_alert_and_no_other():
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    assert re.findall(r"(?m)^### (.*)$", section("Alerts")) == alerts


def test_every_link_within_the_page_leads_somewhere():
    anchors = {title.lower().replace(" ", "-") for title in re.findall(r"(?m)^#+ (.*)$", PAGE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors


def test_the_readme_leads_to_the_page():
    assert "docs/operations.md" in (ROOT / "README.md").read_text(encoding="utf-8")
