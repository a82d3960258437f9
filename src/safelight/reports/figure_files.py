"""Figures as files."""

import io
from pathlib import Path
from typing import Any, Literal, get_args

from matplotlib.figure import Figure

from safelight.reports.atomic_files import write_atomically
from safelight.reports.result import Result
from safelight.reports.style import INK, WIDE_IN, house_style

Format = Literal["pdf", "png", "svg"]
FORMATS: tuple[Format, ...] = get_args(Format)

_UNDATED: dict[Format, dict[str, Any]] = {"pdf": {"CreationDate": None}, "png": {}, "svg": {"Date": None}}


def format_of(path: Path) -> Format:
    """Return the format that a path's suffix names; raises ValueError if it is none of `FORMATS`."""
    for form in FORMATS:
        if path.suffix.lower() == f".{form}":
            return form
    raise ValueError(f"{path.name!r} must end in .{', .'.join(FORMATS)}")


def write_figure(result: Result, path: Path) -> None:
    """Write a result's figure in the format that the path's suffix names; raises CannotWrite."""
    data = figure_bytes(result, format_of(path))
    write_atomically(path, lambda to: to.write_bytes(data))


def figure_bytes(result: Result, form: Format) -> bytes:
    """Return a result's figure, with its title, as a file; equal results give equal bytes."""
    file = io.BytesIO()
    with house_style():
        figure = Figure(figsize=WIDE_IN, layout="constrained")
        result.draw(figure)
        figure.suptitle(result.title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
        figure.savefig(file, format=form, facecolor="white", metadata=_UNDATED[form])
    return file.getvalue()
