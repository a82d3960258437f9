"""Figures as parts of a page: SVG without what only a file needs, in the page's own fonts and colours."""

import io
import re
from xml.etree import ElementTree as ET

from matplotlib.figure import Figure

from safelight.reports.result import Result
from safelight.reports.style import INK, LINE, QUIET, SERIES, WIDE_IN, house_style

VARIABLES = {
    INK: "var(--ink)",
    QUIET: "var(--quiet)",
    LINE: "var(--line)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)},
}
"""What stands for a colour on a page, so that it can be another one in the dark."""

_NAMESPACE = re.compile(r"\{[^}]*\}")
_REFERENCE = re.compile(r"#([\w-]+)")
_COLOUR = re.compile("|".join(VARIABLES))
_FRACTION = re.compile(r"(\.\d\d)\d+")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FILE_ONLY = {"metadata", "style"}


def drawing_of(result: Result, *, prefix: str) -> str:
    """Return a result's figure as an `<svg>` to be put into a page of HTML.

    Args:
        result: what to draw.
        prefix: what the ids within the drawing begin with, unique within the page.
    """
    file = io.BytesIO()
    with house_style():
        figure = Figure(figsize=WIDE_IN, layout="constrained")
        result.draw(figure)
        figure.savefig(file, format="svg", metadata={"Date": None})
    root = ET.fromstring(printable(file.getvalue().decode()))  # noqa: S314 - matplotlib wrote it
    _clean(root, prefix, _references(root))
    width, _ = figure.get_size_inches()
    root.attrib = {
        "class": "figure",
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": result.title,
        "style": f"--inches: {width:g}",
    }
    return ET.tostring(root, encoding="unicode")


def printable(text: str) -> str:
    """Return a text without the characters that no page may hold, such as NUL and escapes."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _references(root: ET.Element) -> set[str]:
    """Return the ids that something within the drawing refers to."""
    return {name for element in root.iter() for value in element.attrib.values() for name in _REFERENCE.findall(value)}


def _clean(element: ET.Element, prefix: str, references: set[str]) -> None:
    element.tag = _NAMESPACE.sub("", element.tag)
    element.attrib = {
        _NAMESPACE.sub("", name): _attribute(name, value, prefix, references)
        for name, value in element.attrib.items()
        if name != "id" or value in references
    }
    element.tail = None
    if element.tag != "text":
        element.text = None
    for child in list(element):
        _clean(child, prefix, references)
        if child.tag in _FILE_ONLY or (child.tag in {"g", "defs"} and not len(child)):
            element.remove(child)


def _attribute(name: str, value: str, prefix: str, references: set[str]) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == "d":
        return " ".join(_FRACTION.sub(r"\1", value).split())
    if name == "style":
        value = _COLOUR.sub(lambda found: VARIABLES[found[0]], value)
    return _REFERENCE.sub(lambda found: f"#{prefix}-{found[1]}" if found[1] in references else found[0], value)
