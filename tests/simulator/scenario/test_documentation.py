"""docs/simulator.md has a table for each section of a scenario file, with the keys and defaults of the code."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from safelight.simulator.results.documents import SimulationDocument
from safelight.simulator.results.figures import NUMBERS
from safelight.simulator.scenario.adapters import AdapterGroup
from safelight.simulator.scenario.cascades import CascadeEntry
from safelight.simulator.scenario.deadlines import Deadlines
from safelight.simulator.scenario.faults import FaultEntry
from safelight.simulator.scenario.fleet import LoadTiers, WorkerGroup
from safelight.simulator.scenario.language import LanguageWork
from safelight.simulator.scenario.models import ModelEntry
from safelight.simulator.scenario.policies import Limits
from safelight.simulator.scenario.reuse import ReuseEntry
from safelight.simulator.scenario.scenario import Scenario
from safelight.simulator.scenario.variants import Variant
from safelight.simulator.scenario.workload import ArrivalSource, LikeSource, MixEntry, TraceSource, Workload

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
SECTIONS = {
    "### The file": Scenario,
    "### `[[fleet]]`": WorkerGroup,
    "### `[fleet.load_tiers]`": LoadTiers,
    "### `[models.NAME]`": ModelEntry,
    "### `[[cascades]]`": CascadeEntry,
    "### `[workload]`": Workload,
    "### `[workload.trace]`": TraceSource,
    "### `[workload.like]`": LikeSource,
    "### `[workload.arrivals]`": ArrivalSource,
    "### `[[workload.mix]]`": MixEntry,
    "### `[[adapters]]`": AdapterGroup,
    "### `[deadlines]`": Deadlines,
    "### `[limits]`": Limits,
    "### `[[faults]]`": FaultEntry,
    "### `[reuse]`": ReuseEntry,
    "### `[language]`": LanguageWork,
    "### `[[variants]]`": Variant,
}


def rows_below(heading):
    """Return the cells of the rows of the first table below a heading."""
    section = TEXT.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def documented(cell):
    """Return the default that a cell says."""
    if cell == "required":
        return msgspec.NODEFAULT
    return None if cell == "none" else tomllib.loads(f"x = {cell.strip('`')}")["x"]


def default_of(field):
    """Return a field's default as TOML has it."""
    if field.required:
        return msgspec.NODEFAULT
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return {} if isinstance(default, msgspec.Struct) else msgspec.json.decode(msgspec.json.encode(default))


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_table_of_a_section_has_its_keys_and_defaults(heading):
    fields = msgspec.structs.fields(SECTIONS[heading])
    expected = {field.encode_name: default_of(field) for field in fields}
    found = {row[0].strip("`"): documented(row[1]) for row in rows_below(heading)}
    assert found == expected


def test_every_figure_is_explained():
    keys = [key for row in rows_below("## Results") for key in re.findall(r"`(\w+)`", row[0])]
    assert [name for name in NUMBERS if name not in keys] == []


def test_every_key_of_the_document_is_explained():
    below = TEXT.split("The JSON document:", 1)[1]
    rows = [line for line in below.splitlines() if line.startswith("|")][2:]
    keys = [key for line in rows for key in re.findall(r"`(\w+)`", line.split(" | ")[0])]
    assert sorted(keys) == sorted(SimulationDocument.__struct_fields__)
