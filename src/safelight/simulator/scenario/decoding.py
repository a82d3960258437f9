"""Decodes TOML into structs; errors name the key, the value and what is allowed."""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence, Sized
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from safelight.core.errors import nearest, shorten
from safelight.simulator.errors import BadScenario

Decoded = TypeVar("Decoded", bound=msgspec.Struct)

_WHERE = re.compile(r"\(at (line \d+, column \d+|end of document)\)")
_TABLES: Final = (inspect.StructType, inspect.DictType)
_WORDS: Final[tuple[tuple[type[Any] | tuple[type[Any], ...], str], ...]] = (
    (inspect.BoolType, "true or false"),
    (inspect.IntType, "a whole number"),
    (inspect.FloatType, "a number"),
    (inspect.StrType, "a text"),
    (_TABLES, "a table"),
)
_TYPES: Final[tuple[tuple[type[Any] | tuple[type[Any], ...], type[Any] | tuple[type[Any], ...]], ...]] = (
    (inspect.BoolType, bool),
    (inspect.IntType, int),
    (inspect.FloatType, (int, float)),
    (inspect.StrType, str),
    (_TABLES, dict),
)
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
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise BadScenario("has a value that cannot be used; compare it with the documentation.", place=place) from error


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
        case inspect.ListType() | inspect.VarTupleType() | inspect.TupleType():
            _check_items(value, kind, place)
        case inspect.LiteralType() if value not in kind.values:
            raise BadScenario(f"is {shorten(value)}; {nearest(str(value), _names(kind))}", place=place)
        case inspect.IntType() | inspect.FloatType():
            _check_number(value, kind, place)
        case inspect.StrType():
            _check_length(value, kind.min_length, place)


def _check_items(items: Sequence[Any], kind: inspect.Type, place: str) -> None:
    if isinstance(kind, inspect.TupleType):
        kinds = kind.item_types
        if len(items) != len(kinds):
            raise BadScenario(f"has {len(items)} elements; it must have {len(kinds)}.", place=place)
    else:
        assert isinstance(kind, inspect.ListType | inspect.VarTupleType)
        _check_length(items, kind.min_length, place)
        kinds = (kind.item_type,) * len(items)
    for number, (item, its_kind) in enumerate(zip(items, kinds, strict=True)):
        _check(item, its_kind, f"{place}[{number}]")


def _check_length(value: Sized, least: int | None, place: str) -> None:
    if len(value) < (least or 0):
        raise BadScenario("is empty; it needs at least one.", place=place)


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
        bounds = {name: rule for name, rule in rules.items() if rule is not None}
        wanted = " and ".join(
            f"{_BOUNDS[name]} {format(rule, ',' if isinstance(rule, int) else 'g')}" for name, rule in bounds.items()
        )
        raise BadScenario(f"is {value}; it must be {wanted}.", place=place)


def _options(kind: inspect.Type) -> Iterator[inspect.Type]:
    yield from kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _is_of(value: object, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.AnyType):
        return True
    if isinstance(kind, inspect.LiteralType):
        return isinstance(value, type(kind.values[0]))
    if isinstance(value, bool):
        return isinstance(kind, inspect.BoolType)
    return isinstance(value, next((types for kinds, types in _TYPES if isinstance(kind, kinds)), list))


def _words(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(map(repr, _names(kind)))
    return next((words for types, words in _WORDS if isinstance(kind, types)), "a list")


def _names(kind: inspect.LiteralType) -> tuple[str, ...]:
    return tuple(map(str, kind.values))


def _inside(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
