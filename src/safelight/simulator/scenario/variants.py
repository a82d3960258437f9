"""`[[variants]]`: the same scenario with some keys changed, simulated side by side."""

from typing import Any

import msgspec

from safelight.core.errors import nearest
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.quantities import Name


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of a scenario.

    Attributes:
        name: unique in the file.
        set: values by key, such as `adapters.0.popularity_exponent`; elements of lists are counted from 0.
    """

    name: Name
    set: dict[str, Any]


def with_changes(raw: dict[str, Any], variant: Variant, place: str) -> dict[str, Any]:
    """Return the tables of a scenario with the changes of a variant, and without variants.

    Raises:
        BadScenario: if a key leads nowhere.
    """
    changed: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(raw))
    changed.pop("variants", None)
    for key, value in variant.set.items():
        *parents, last = key.split(".")
        table: Any = changed
        for part in parents:
            table = _inside(table, part, place=f"{place}.set.{key!r}")
        if isinstance(table, dict):
            table[last] = value
        else:
            _inside(table, last, place=f"{place}.set.{key!r}")
            table[int(last)] = value
    return changed


def _inside(table: Any, part: str, *, place: str) -> Any:  # noqa: ANN401 - whatever TOML holds
    known = list(table) if isinstance(table, dict) else []
    if isinstance(table, list):
        known = [str(number) for number in range(len(table))]
    if part not in known:
        raise BadScenario(f"leads nowhere, since {part!r} is not there; {nearest(part, known)}", place=place)
    return table[part] if isinstance(table, dict) else table[int(part)]
