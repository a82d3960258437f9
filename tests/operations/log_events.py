"""The log events in the source, found by reading it."""

import ast
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "safelight"
LOGGING_PACKAGES = ("access", "local", "server", "service")
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
CHOSEN_LEVELS = {"write": {"debug", "info"}}
"""Functions of that name are one of two methods of a log."""


@dataclass
class LogEvent:
    """What the entries of one event have; an event has fewer fields where another place logs it."""

    fields: set = field(default_factory=set)
    levels: set = field(default_factory=set)


def log_events():
    """Return what is known of each event; a part of its name that is chosen when it is logged is written STATUS."""
    events = {}
    paths = [path for package in LOGGING_PACKAGES for path in sorted((PACKAGE / package).rglob("*.py"))]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            levels = _levels(node)
            if levels and (name := _event(node.args[0])) is not None:
                event = events.setdefault(name, LogEvent())
                event.fields |= {each.arg for each in node.keywords if each.arg} - {"exc_info"}
                event.levels |= levels
    return events


def _levels(node):
    """The levels of a call, if it logs something."""
    if not isinstance(node, ast.Call) or not node.args:
        return set()
    function = node.func
    if isinstance(function, ast.Name):
        return CHOSEN_LEVELS.get(function.id, set())
    if not isinstance(function, ast.Attribute) or function.attr not in LEVELS:
        return set()
    receiver = function.value
    name = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", "")
    return {LEVELS[function.attr]} if name.endswith("log") else set()


def _event(node):
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=ast.Constant(value=str(text))):
            return f"{text}STATUS"
    return None
