"""How figures look on paper, on slides and on pages, light or dark.

The colours of series are those of Okabe and Ito (Color Universal Design, 2008), which people of any colour vision can
distinguish. What surrounds the data is drawn in `INK`, `QUIET` and `LINE` alone, so that a page may replace the three.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, NullFormatter, NullLocator

BLUE, VERMILLION, GREEN, PINK, ORANGE, SKY = SERIES = (
    *("#0072b2", "#d55e00", "#009e73"),
    *("#cc79a7", "#e69f00", "#56b4e9"),
)
INK, QUIET, LINE = "#1c2128", "#59636e", "#dde1e6"

WIDE_IN = (7.2, 3.4)
"""Width and height of a figure as wide as a page of text, in inches."""

_FEW_TIMES = {0.001: "1 ms", 1: "1 s", 60: "1 min", 3600: "1 h", 86400: "1 day", 30 * 86400: "30 days"}
_TIMES = {**_FEW_TIMES, 0.01: "10 ms", 0.1: "0.1 s", 10: "10 s", 600: "10 min", 6 * 3600: "6 h", 7 * 86400: "1 week"}
_APART = 0.075
"""Of an axes' height, so that labels of neighbouring lines do not touch."""

_SETTINGS = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.labelcolor": QUIET,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=SERIES),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "legend.fontsize": 8.5,
    "lines.solid_capstyle": "round",
    "patch.linewidth": 0,
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "safelight",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": QUIET,
    "xtick.labelsize": 8.5,
    "xtick.major.size": 3,
    "xtick.minor.size": 0,
    "ytick.color": QUIET,
    "ytick.labelsize": 8.5,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save in our style within the block; equal data give equal SVG, except for the date."""
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def panel(figure: Figure, *, position: tuple[int, int, int] = (1, 1, 1), x: str, y: str, title: str = "") -> Axes:
    """Return new axes.

    Args:
        figure: to put them into.
        position: rows and columns of panels, and which panel it is, counted from 1.
        x: label of the horizontal axis, with its unit.
        y: label of the vertical axis, likewise.
        title: what distinguishes this panel from the others.
    """
    axes = figure.add_subplot(*position)
    axes.set(xlabel=x, ylabel=y, title=title)
    return axes


def in_thousands(axis: Axis) -> None:
    """Label an axis with plain numbers, with commas between thousands."""
    plain = FuncFormatter(lambda value, _: f"{value:,.12g}")
    axis.set_major_formatter(plain)
    if axis.get_scale() == "log":
        low, high = axis.get_view_interval()
        axis.set_minor_formatter(plain if high < 10 * low else NullFormatter())


def in_percent(axis: Axis) -> None:
    """Label an axis of shares with percentages."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.12g} %"))


def in_time(axis: Axis) -> None:
    """Label a logarithmic axis of seconds with durations such as 10 s, 1 min, 1 h, 1 day."""
    is_wide = axis.axes.get_position().width > 0.5
    times = _TIMES if is_wide else _FEW_TIMES
    axis.set_major_locator(FixedLocator(list(times)))
    axis.set_major_formatter(FixedFormatter(list(times.values())))
    axis.set_minor_locator(NullLocator())


def label_ends(axes: Axes, names: Sequence[str]) -> None:
    """Write each line's name at its right end, in its colour, moved apart where they would touch.

    Lines are taken in the order they were drawn; limits and scales of the axes must be final.
    """
    lines = axes.get_lines()[: len(names)]
    heights = [_height(axes, np.asarray(line.get_ydata(), float)[-1]) for line in lines]
    for line, name, height in zip(lines, names, _spread(heights), strict=True):
        axes.annotate(
            name,
            xy=(1, height),
            xytext=(6, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            color=line.get_color(),
            fontsize=8.5,
            va="center",
        )


def _height(axes: Axes, value: float) -> float:
    """Return where a value is on the vertical axis, as a share of its length."""
    along = axes.transLimits.transform(axes.transScale.transform((axes.get_xlim()[1], value)))
    return float(along[1])


def _spread(heights: Sequence[float]) -> list[float]:
    """Move heights apart, as little as that takes, in their order and not above the top."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = [heights[index] for index in order]
    for _ in range(100):
        for low in range(len(placed) - 1):
            if (lack := _APART - (placed[low + 1] - placed[low])) > 0:
                placed[low] -= lack / 2
                placed[low + 1] += lack / 2
        placed = [min(height, 1.0) for height in placed]
    return [height for _, height in sorted(zip(order, placed, strict=True))]
