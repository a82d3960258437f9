"""Parses arguments about one picture: its file, adapters and input pictures."""

import base64
from pathlib import Path

from safelight.cli.errors import Misuse
from safelight.cli.output_files import check_output_files
from safelight.core.errors import shorten

FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


def format_of(output: Path) -> str:
    """Return the format of a file's name, after checking that the file can be written."""
    if output.suffix.lower() not in FORMATS:
        raise Misuse(f"{shorten(str(output))} ends in {output.suffix!r}; pictures end in {', '.join(FORMATS)}.")
    check_output_files([output])
    return FORMATS[output.suffix.lower()]


def scaled(text: str, *, option: str) -> dict[str, object]:
    """Parse `name` or `name:scale`."""
    name, _, scale = text.partition(":")
    try:
        return {"name": name, "scale": float(scale or 1.0)}
    except ValueError:
        raise Misuse(f"{option} {shorten(text)} has a scale that is no number; write NAME:0.8.") from None


def control_of(text: str) -> dict[str, object]:
    """Parse `name=file` or `name:scale=file`, and read the picture."""
    adapter, is_there, file = text.partition("=")
    if not is_there:
        raise Misuse(f"--control {shorten(text)} names no picture; write NAME=FILE.")
    return scaled(adapter, option="--control") | {"image": data_url(Path(file), option="--control")}


def data_url(file: Path, *, option: str) -> str:
    kind = FORMATS.get(file.suffix.lower())
    if kind is None:
        raise Misuse(f"{option} {shorten(str(file))} is no {', '.join(FORMATS)} file.")
    return f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
