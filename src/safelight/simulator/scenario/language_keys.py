"""Keys of a scenario that language work does not follow; they are refused by name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from safelight.core.errors import shorten
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.adapters import AdapterGroup
from safelight.simulator.scenario.deadlines import Deadlines
from safelight.simulator.scenario.fleet import WorkerGroup
from safelight.simulator.scenario.models import ModelEntry
from safelight.simulator.scenario.policies import Limits
from safelight.simulator.scenario.workload import MixEntry

FAMILIES: Final = ("adapter-mode", "routing")
"""Of policies that language work follows."""

_FOLLOWED: Final[Mapping[type[msgspec.Struct], frozenset[str]]] = {
    WorkerGroup: frozenset(
        {"name", "count", "models", "profiles", "device", "memory_bytes", "max_denoiser_rows", "speed"}
    ),
    ModelEntry: frozenset(
        {"profile", "family", "steps", "guidance", "guidance_scale", "width", "height", "weights_bytes"}
    ),
    AdapterGroup: frozenset({"name", "model", "kind", "count", "share", "popularity_exponent"}),
    MixEntry: frozenset({"model", "share", "steps", "deadline_s"}),
    Deadlines: frozenset({"seconds"}),
    Limits: frozenset(),
}


def check_language_keys(tables: Iterable[tuple[str, msgspec.Struct]]) -> None:
    """Raise BadScenario for tables and keys that would not count in language work.

    Args:
        tables: of the scenario with their places.
    """
    for place, table in tables:
        if type(table) not in _FOLLOWED:
            raise BadScenario("cannot be beside `language`, which does not follow it.", place=place)
        _check(table, place)
        if isinstance(table, AdapterGroup) and table.kind != "lora":
            raise BadScenario(f"is {table.kind!r}; a language model has LoRAs only.", place=f"{place}.kind")


def check_language_policies(choices: Sequence[str]) -> None:
    """Raise BadScenario for choices of policies that would not count in language work."""
    for choice in choices:
        family = choice.partition("=")[0]
        if family not in FAMILIES:
            raise BadScenario(
                f"has {shorten(choice)}; language work follows {' and '.join(FAMILIES)} only.", place="policies"
            )


def _check(table: msgspec.Struct, place: str) -> None:
    followed = _FOLLOWED[type(table)]
    for field in msgspec.structs.fields(table):
        if field.name not in followed and getattr(table, field.name) != field.default:
            raise BadScenario("does not count in language work; leave it out.", place=f"{place}.{field.name}")
