"""Where results go."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from safelight.bench.formatting import without_credentials
from safelight.bench.load.runner import Run
from safelight.bench.load.spec import LoadSpec
from safelight.bench.report.request_log import write_log
from safelight.bench.requests import Task
from safelight.cli.bench.display import warnings_about
from safelight.cli.errors import Misuse
from safelight.core.errors import shorten
from safelight.reports.atomic_files import write_atomically
from safelight.reports.errors import CannotWrite
from safelight.traces.errors import UnknownFormat
from safelight.traces.writing import format_of

SECRET = ("--api-key", "--header")
"""What must not stand in a page."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Files for the results; None is no file."""

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
        """Return them once it is sure, before all work, that they can be; raises Misuse."""
        check_outputs([path for path in (metrics, log, report) if path is not None], inputs=inputs)
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
        """Write the files, each of them whatever becomes of the others; return whether all could be."""
        is_whole = True
        for work in self._works(metrics, runs, spec, notify):
            try:
                work()
            except CannotWrite as error:
                notify(f"error: {error}")
                is_whole = False
        return is_whole

    def _works(
        self, metrics: dict[str, Any], runs: Sequence[Run], spec: LoadSpec, notify: Callable[[str], None]
    ) -> Iterator[Callable[[], object]]:
        if self.metrics is not None:
            yield partial(write_json, metrics, self.metrics)
        if self.log is not None:
            yield partial(self._log, self.log, runs, spec.task, notify)
        if self.report is None and self.folder is None:
            return
        from safelight.bench.report.page import results_of, write_page, write_plots

        results = results_of(runs, metrics)
        if self.report is not None:
            yield partial(
                write_page,
                self.report,
                results,
                metrics=metrics,
                url=spec.config.server.public_url,
                title=f"{spec.flags.dataset} on {spec.config.endpoint.name}",
                notes=[*spec.config.notes, *warnings_about(metrics)],
                command=command_line(),
            )
        if self.folder is not None:
            yield partial(write_plots, self.folder, results)

    def _log(self, path: Path, runs: Sequence[Run], task: Task, notify: Callable[[str], None]) -> None:
        for note in write_log(runs, path, task=task, to_format=self.log_format):
            notify(note)


def check_outputs(paths: Sequence[Path], *, inputs: Sequence[str]) -> None:
    """Raise Misuse for files that cannot be written, or that would be written over each other or what is read."""
    for path in paths:
        if path.is_dir():
            raise Misuse(f"{shorten(str(path))} is a folder; name a file to write.")
        if not path.parent.is_dir():
            raise Misuse(f"There is no folder {shorten(str(path.parent))} to put {path.name} in; make it first.")
        place = path if path.exists() and not path.is_file() else path.parent
        if not os.access(place, os.W_OK):
            raise Misuse(f"Nothing can be written to {shorten(str(place))}; name another place.")
    kept = {Path(name).resolve() for name in inputs if name}
    for path in (each for each in paths if not each.exists() or each.is_file()):
        if path.resolve() in kept:
            raise Misuse(f"{shorten(str(path))} is named twice, and would be written over; name another file.")
        kept.add(path.resolve())


def command_line() -> str:
    """Return the command that runs, as it could be typed again, but for keys and passwords."""
    words = list[str]()
    for before, word in pairwise(["", "safelight", *sys.argv[1:]]):
        option = word.partition("=")[0]
        hides_itself = option in SECRET and "=" in word
        words.append("..." if before in SECRET else f"{option}=..." if hides_itself else without_credentials(word))
    return shlex.join(words)


def write_json(metrics: dict[str, Any], path: Path) -> None:
    """Write figures; raises CannotWrite."""
    write_atomically(path, lambda to: to.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8"))
