"""How one log entry is written: as JSON for programs, or as text for people at a terminal.

Entries contain data of clients, such as paths and names. In both forms such data can neither begin a new line nor send
control sequences to a terminal.
"""

import json
import re
import traceback
from typing import TextIO

import msgspec
from structlog.dev import Column, ConsoleRenderer, KeyValueColumnFormatter, LogLevelColumnFormatter
from structlog.typing import EventDict, ExcInfo, WrappedLogger

MOST_CHARACTERS = 2000
"""Of one value of an entry, except tracebacks."""

EVENT_WIDTH = 18
"""To which events are padded, so that the fields of most entries are aligned."""

_CONTROLS = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Beside those that JSON escapes: control characters of terminals, line separators, and changes of direction."""

_BARE = re.compile(r"[^\s='\"]+")
_INDENT = "    "


def as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Return the entry as one line of JSON."""
    text = _encoded(event)
    if len(text) > MOST_CHARACTERS:
        text = _encoded({key: _bounded(key, value) for key, value in event.items()})
    return text if text.isascii() and "\x7f" not in text else _CONTROLS.sub(_escape, text)


def _encoded(event: EventDict) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=str).decode()
    except (ValueError, TypeError, OverflowError, RecursionError):  # such as half of a surrogate pair in a file name
        return json.dumps(event, default=str)


def console_renderer(*, has_colors: bool) -> ConsoleRenderer:
    """Return what makes an entry one line of text, followed by an indented traceback if there is one."""
    styles = ConsoleRenderer.get_default_column_styles(has_colors)
    levels = ConsoleRenderer.get_default_level_styles(has_colors)

    def plain(style: str, *, width: int = 0) -> KeyValueColumnFormatter:
        return KeyValueColumnFormatter(None, style, styles.reset, value_repr=_one_line, width=width)

    return ConsoleRenderer(
        columns=[
            Column("timestamp", plain(styles.timestamp)),
            Column("level", LogLevelColumnFormatter(levels, styles.reset)),
            Column("event", plain(styles.bright, width=EVENT_WIDTH)),
            Column("", KeyValueColumnFormatter(styles.kv_key, styles.kv_value, styles.reset, value_repr=_value)),
        ],
        exception_formatter=_write_traceback,
        sort_keys=False,
    )


def without_nothing(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Leave out the fields that are None."""
    return {key: value for key, value in event.items() if value is not None}


def _bounded(key: str, value: object) -> object:
    if isinstance(value, str) and len(value) > MOST_CHARACTERS and key != "exception":
        return f"{value[:MOST_CHARACTERS]}…"
    return value


def _value(value: object) -> str:
    """Return a field's value: bare where that is unambiguous, else quoted."""
    text = _bounded("", value if isinstance(value, str) else repr(value))
    assert isinstance(text, str)
    if not isinstance(value, str):
        return _one_line(text)
    return text if text.isprintable() and _BARE.fullmatch(text) else repr(text)


def _one_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else repr(text)[1:-1]


def _write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    """Write a traceback of which each line is indented, so that no message looks like an entry."""
    for block in traceback.format_exception(*exc_info):
        stream.writelines(f"\n{_INDENT}{_one_line(line)}" for line in block.splitlines())


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
