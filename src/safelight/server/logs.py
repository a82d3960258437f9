"""Structured logs on standard error: text at a terminal, else one JSON line per event."""

import logging
import math
import os
import sys
import time
from collections.abc import Callable
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


class Seldom:
    """A filter that passes at most one record in `every_s` of the loggers whose names begin with `prefix`.

    The exporter of traces logs each attempt to reach a collector that is down.
    """

    def __init__(self, prefix: str, *, every_s: float = 60.0, now_s: Callable[[], float] = time.monotonic) -> None:
        self._prefix = prefix
        self._every_s = every_s
        self._now_s = now_s
        self._passed_s = -math.inf

    def __call__(self, record: logging.LogRecord) -> bool:
        """Return whether the record passes."""
        if not record.name.startswith(self._prefix):
            return True
        now_s = self._now_s()
        if now_s - self._passed_s < self._every_s:
            return False
        self._passed_s = now_s
        return True


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
