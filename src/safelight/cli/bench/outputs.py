"""Writes the results of a run to files."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from safelight.bench.formatting import without_credentials
from safelight.bench.load.spec import LoadSpec
from safelight.bench.report.request_log import write_log
from safelight.bench.requests import Task
from safelight.bench.run import Run
from safelight.cli.bench.display import warnings_about
from safelight.cli.errors import Misuse
from safelight.cli.output_files import check_output_files
from safelight.core.errors import shorten
from safelight.reports.atomic_files import write_atomically
from safelight.reports.errors import CannotWrite
from safelight.traces.errors import UnknownFormat
from safelight.traces.writing import format_of

SECRET = ("--api-key", "--header")
"""Flags whose values must not appear in results."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Files for the results; None means no file."""

    metrics: Path | None
    log: Path | None
    log_format: str
    report: Path | None
    folder: Path | None

    @classmethod
    def checked(
        cls,
        metrics: Path | None,
        log: Path | None,
        report: Path | None,
        folder: Path | None,
        *,
        inputs: Sequence[str],
    ) -> "Outputs":
        """Check before the run that the files can be written; raises Misuse."""
        check_output_files([path for path in (metrics, log, report) if path is not None], inputs=inputs)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            log_format = "" if log is None else format_of(log)
        except UnknownFormat:
            raise Misuse(f"--log {shorten(str(log))} does not tell its format; end it in .parquet or .jsonl.") from None
        return cls(metrics=metrics, log=log, log_format=log_format, report=report, folder=folder)

    def write(
        self, metrics: dict[str, Any], runs: Sequence[Run], *, spec: LoadSpec, notify: Callable[[str], None]
    ) -> bool:
        """Write the files, each even if others fail; return whether all succeeded."""
        is_whole = True
        for write in self._writers(metrics, runs, spec, notify):
            try:
                write()
            except CannotWrite as error:
                notify(f"error: {error}")
                is_whole = False
        return is_whole

    def _writers(
        self, metrics: dict[str, Any], runs: Sequence[Run], spec: LoadSpec, notify: Callable[[str], None]
    ) -> Iterator[Callable[[], object]]:
        if self.metrics is not None:
            yield partial(write_json, metrics, self.metrics)
        if self.log is not None:
            yield partial(self._log, self.log, runs, spec.task, notify)
        if self.report is None and self.folder is None:
            return
        from safelight.bench.report.page import plots_of, write_page, write_plots

        results = plots_of(runs, metrics)
        if self.report is not None:
            yield partial(
                write_page,
                self.report,
                results,
                metrics=metrics,
                url=spec.config.server.public_url,
                title=f"{spec.settings.dataset} on {spec.config.endpoint.name}",
                notes=[*spec.config.notes, *warnings_about(metrics)],
                command=command_line(),
            )
        if self.folder is not None:
            yield partial(write_plots, self.folder, results)

    def _log(self, path: Path, runs: Sequence[Run], task: Task, notify: Callable[[str], None]) -> None:
        for note in write_log(runs, path, task=task, to_format=self.log_format):
            notify(note)


def command_line() -> str:
    """Return the running command line without keys and passwords."""
    arguments = list[str]()
    for before, argument in pairwise(["", "safelight", *sys.argv[1:]]):
        option = argument.partition("=")[0]
        hides_itself = option in SECRET and "=" in argument
        arguments.append(
            "..." if before in SECRET else f"{option}=..." if hides_itself else without_credentials(argument)
        )
    return shlex.join(arguments)


def write_json(metrics: dict[str, Any], path: Path) -> None:
    """Write metrics; raises CannotWrite."""
    write_atomically(path, lambda to: to.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8"))
