"""Structured logs on standard error: text at a terminal, else one JSON line per event."""

import logging
import os
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from safelight.core.log import DEFAULT_LOG_FORM, DEFAULT_LOG_LEVEL, LogForm, LogLevel
from safelight.server.log_forms import as_json, console_renderer, without_nothing

Log = FilteringBoundLogger


def make_log(
    stream: TextIO | None = None, *, level: LogLevel = DEFAULT_LOG_LEVEL, form: LogForm = DEFAULT_LOG_FORM
) -> Log:
    """Return a log that writes events of `level` and above to `stream`, standard error by default.

    The form `auto` is `console` if `stream` is a terminal, else `json`.
    """
    stream = stream or sys.stderr
    # bind() creates the logger once; without it structlog creates one for each line.
    return cast(
        "Log",
        structlog.wrap_logger(
            structlog.WriteLogger(stream),
            processors=[structlog.processors.add_log_level, *_processors(stream, form)],
            wrapper_class=structlog.make_filtering_bound_logger(level),
        ).bind(),
    )


class ForwardToLog(logging.Handler):
    """Forwards records of the standard logging, which libraries use, to our log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - the library's mistake costs the record, not the request
            self.handleError(record)
            return
        error = record.exc_info[1] if record.exc_info else None
        self._log.log(record.levelno, message, source=record.name, exc_info=error)


def _processors(stream: TextIO, form: LogForm) -> list[Processor]:
    """Return what adds the time to an entry and writes it."""
    is_terminal = _is_terminal(stream)
    if form == "console" or (form == "auto" and is_terminal):
        has_colors = is_terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        local_time = structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False)
        return [without_nothing, local_time, console_renderer(has_colors=has_colors)]
    utc_time = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return [utc_time, structlog.processors.format_exc_info, as_json]


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # no file, or closed
        return False
