"""Options of `safelight serve` about logs, traces and outcomes."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from safelight.cli.extras import need_otel_extra
from safelight.cli.otlp import otlp_traces_url
from safelight.core.log import DEFAULT_LOG_FORM, DEFAULT_LOG_LEVEL, LogForm, LogLevel
from safelight.service.line_writer import MAX_WAITING_BYTES

_PANEL = "Logs and traces"


class LogSettings(TypedDict):
    """Fields of `ServerSettings`."""

    log_form: LogForm
    log_level: LogLevel
    otlp_traces_url: str | None
    outcomes: Path | None
    max_outcome_bytes: int


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """How log entries are written, and where traces and outcomes go."""

    log_format: Annotated[
        LogForm,
        typer.Option(rich_help_panel=_PANEL, help="How log entries are written; auto is console at a terminal."),
    ] = DEFAULT_LOG_FORM
    log_level: Annotated[LogLevel, typer.Option(rich_help_panel=_PANEL, help="Log entries below it are left out.")] = (
        DEFAULT_LOG_LEVEL
    )
    otlp_endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            rich_help_panel=_PANEL,
            help="Send OpenTelemetry traces to this collector, by OTLP over HTTP, such as http://127.0.0.1:4318; "
            "the standard OTEL_EXPORTER_OTLP_* variables work too.",
        ),
    ] = None
    outcomes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=_PANEL, help="Add one JSON line for each request to this file."),
    ] = None
    max_outcome_bytes: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=_PANEL,
            help="Bytes of lines that wait for a slow disk; further ones are lost, and counted.",
        ),
    ] = MAX_WAITING_BYTES

    @property
    def settings(self) -> LogSettings:
        """The settings of a server; raises Misuse for what is no address, and MissingExtra."""
        url = otlp_traces_url(self.otlp_endpoint, os.environ)
        if url is not None:
            need_otel_extra()
        return LogSettings(
            log_form=self.log_format,
            log_level=self.log_level,
            otlp_traces_url=url,
            outcomes=self.outcomes,
            max_outcome_bytes=self.max_outcome_bytes,
        )
