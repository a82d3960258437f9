"""What a page shows, and the page itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from safelight.core.version import __version__
from safelight.reports.data import Data
from safelight.reports.drawing import printable

_HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A number that stands out."""

    label: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an analysis gave.

    Attributes:
        anchor: unique within the page.
        title: of the question.
        findings: sentences.
        drawing: a figure as `drawing.drawing_of` gives it; None where the trace does not tell enough.
        data: likewise.
        command: what gives the whole table.
    """

    anchor: str
    title: str
    findings: Sequence[str]
    drawing: str | None
    data: Data | None
    command: str


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """The part of the report about one service."""

    anchor: str
    title: str
    tiles: Sequence[Tile]
    answers: Sequence[Answer]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A report.

    Attributes:
        name: of the trace.
        path: where it lies.
        summary: one sentence about all of it.
        notes: what a reader must know of how the trace was read, in sentences.
        chapters: one for each service.
        kind: of report.
    """

    name: str
    path: str
    summary: str
    notes: Sequence[str]
    chapters: Sequence[Chapter]
    kind: str = "Trace report"


def html_of(page: Page) -> str:
    """Return the page; all text of the trace is escaped, and nothing is loaded from anywhere."""
    environment = Environment(
        autoescape=True, loader=FileSystemLoader(_HERE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.finalize = lambda value: printable(value) if type(value) is str else value
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    template = environment.get_template("page.html.jinja")
    return template.render(page=page, style=style, generator=f"Safelight {__version__}")
