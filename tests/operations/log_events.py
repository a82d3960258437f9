"""The log events in the source, found by reading it."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "safelight"
LOGGING_PACKAGES = ("access", "local", "server", "service")
LEVELS = {"debug", "info", "warning", "error", "exception"}


def log_events():
    """Return the fields by event; a part of an event that is only known when it is logged is written STATUS."""
    events = {}
    paths = [path for package in LOGGING_PACKAGES for path in sorted((PACKAGE / package).rglob("*.py"))]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_logged = isinstance(node, ast.Call) and node.args and _is_log_call(node.func)
            if is_logged and (event := _event(node.args[0])) is not None:
                events.setdefault(event, set()).update(each.arg for each in node.keywords if each.arg)
    return {event: fields - {"exc_info"} for event, fields in events.items()}


def _is_log_call(function):
    if isinstance(function, ast.Name):
        return function.id == "write"
    if not isinstance(function, ast.Attribute) or function.attr not in LEVELS:
        return False
    receiver = function.value
    name = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", "")
    return name.endswith("log")


def _event(node):
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=ast.Constant(value=str(text))):
            return f"{text}STATUS"
    return None


if __name__ == "__main__":
    for event, fields in sorted(log_events().items()):
        print(f"| `{event}` | {', '.join(f'`{field}`' for field in sorted(fields))} |")
