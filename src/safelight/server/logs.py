"""Structured logs: one JSON line per event, on standard error."""

import logging
import sys
from typing import TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

Log = FilteringBoundLogger


def make_log(stream: TextIO | None = None, *, level: int = logging.INFO) -> Log:
    """Return a log that writes events of `level` and above to `stream`, standard error by default."""
    # bind() creates the logger once; without it structlog creates one for each line.
    return cast(
        "Log",
        structlog.wrap_logger(
            structlog.WriteLogger(stream or sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                _to_json,
            ],
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
        error = record.exc_info[1] if record.exc_info else None
        self._log.log(record.levelno, record.getMessage(), source=record.name, exc_info=error)


def _to_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode("utf-8", "replace")
