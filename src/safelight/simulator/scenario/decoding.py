"""Decodes TOML into structs; errors name the key, the value and what is allowed."""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from safelight.core.errors import nearest, shorten
from safelight.simulator.errors import BadScenario

Decoded = TypeVar("Decoded", bound=msgspec.Struct)

_WHERE = re.compile(r"\(at (line \d+, column \d+|end of document)\)")
_NUMBERS: Final = (inspect.IntType, inspect.FloatType)
_ARRAYS: Final = (inspect.ListType, inspect.VarTupleType)
_TABLES: Final = (inspect.StructType, inspect.DictType)
_BOUNDS: Final = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises:
        BadScenario: if it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _WHERE.search(str(error))
        raise BadScenario(f"It is not TOML: see {found[1] if found else 'its lines'}.") from error


def decode(raw: Any, kind: type[Decoded], *, place: str = "") -> Decoded:  # noqa: ANN401 - whatever TOML holds
    """Return tables as a struct.

    Args:
        raw: of `tomllib`.
        kind: the struct; its fields may be numbers, text, flags, choices, lists, tables and structs.
        place: of `raw` in its file.

    Raises:
        BadScenario: if a key is unknown or missing, or a value is of the wrong kind or out of range.
    """
    _check(raw, _type_info(kind), place)
    return msgspec.convert(raw, kind)


@cache
def _type_info(kind: type[Any]) -> inspect.Type:
    return inspect.type_info(kind)


def _check(value: object, kind: inspect.Type, place: str) -> None:
    options = [option for option in _options(kind) if not isinstance(option, inspect.NoneType)]
    fitting = next((option for option in options if _is_of(value, option)), None)
    if fitting is None:
        wanted = " or ".join(dict.fromkeys(map(_words, options)))
        raise BadScenario(f"is {shorten(value)}; it must be {wanted}.", place=place)
    _check_fitting(value, fitting, place)


def _check_fitting(value: Any, kind: inspect.Type, place: str) -> None:  # noqa: ANN401 - whatever TOML holds
    match kind:
        case inspect.StructType():
            _check_keys(value, kind, place)
        case inspect.DictType():
            for key, item in value.items():
                _check(item, kind.value_type, _inside(place, key))
        case inspect.ListType() | inspect.VarTupleType():
            if len(value) < (kind.min_length or 0):
                raise BadScenario("is empty; it must have at least one element.", place=place)
            for number, item in enumerate(value):
                _check(item, kind.item_type, f"{place}[{number}]")
        case inspect.LiteralType():
            if value not in kind.values:
                raise BadScenario(f"is {shorten(value)}; {nearest(str(value), _names(kind))}", place=place)
        case inspect.IntType() | inspect.FloatType():
            _check_number(value, kind, place)
        case inspect.StrType():
            if kind.min_length and not value:
                raise BadScenario("is empty; it must be a text.", place=place)


def _check_keys(table: Mapping[str, object], kind: inspect.StructType, place: str) -> None:
    fields = {field.encode_name: field for field in kind.fields}
    for key in table:
        if key not in fields:
            raise BadScenario(f"is not a key that is known; {nearest(key, tuple(fields))}", place=_inside(place, key))
    for key, field in fields.items():
        if key in table:
            _check(table[key], field.type, _inside(place, key))
        elif field.required:
            raise BadScenario("is missing.", place=_inside(place, key))


def _check_number(value: float, kind: inspect.IntType | inspect.FloatType, place: str) -> None:
    if not math.isfinite(value):
        raise BadScenario(f"is {value}; it must be a finite number.", place=place)
    rules = {name: getattr(kind, name) for name in _BOUNDS}
    is_kept = (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )
    if not is_kept:
        wanted = " and ".join(f"{_BOUNDS[name]} {rule:g}" for name, rule in rules.items() if rule is not None)
        raise BadScenario(f"is {value}; it must be {wanted}.", place=place)


def _options(kind: inspect.Type) -> Iterator[inspect.Type]:
    yield from kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _is_of(value: object, kind: inspect.Type) -> bool:
    match kind:
        case inspect.AnyType():
            return True
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case inspect.StrType() | inspect.LiteralType():
            return isinstance(value, str)
    return isinstance(value, list if isinstance(kind, _ARRAYS) else dict) and isinstance(kind, _ARRAYS + _TABLES)


def _words(kind: inspect.Type) -> str:
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number"
        case inspect.FloatType():
            return "a number"
        case inspect.StrType():
            return "a text"
        case inspect.LiteralType():
            return "one of " + ", ".join(map(repr, _names(kind)))
        case inspect.StructType() | inspect.DictType():
            return "a table"
    return "a list"


def _names(kind: inspect.LiteralType) -> tuple[str, ...]:
    return tuple(map(str, kind.values))


def _inside(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
