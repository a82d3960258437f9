"""What words on the command line mean about one picture: files, adapters, and pictures that come along."""

import base64
from pathlib import Path

from safelight.cli.errors import Misuse
from safelight.core.errors import shorten

FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


def format_of(output: Path) -> str:
    """Return the format that a file's name asks for, once it is sure that the file can be written."""
    if output.suffix.lower() not in FORMATS:
        raise Misuse(f"{shorten(str(output))} ends in {output.suffix!r}; pictures end in {', '.join(FORMATS)}.")
    if not output.parent.is_dir():
        raise Misuse(f"There is no folder {shorten(str(output.parent))} to put {output.name} in; make it first.")
    return FORMATS[output.suffix.lower()]


def scaled(word: str, *, option: str) -> dict[str, object]:
    """Return the adapter that `name` or `name:scale` means."""
    name, _, scale = word.partition(":")
    try:
        return {"name": name, "scale": float(scale or 1.0)}
    except ValueError:
        raise Misuse(f"{option} {shorten(word)} has a scale that is no number; write NAME:0.8.") from None


def control_of(word: str) -> dict[str, object]:
    """Return the ControlNet that `name=file` or `name:scale=file` means, with the picture in it."""
    adapter, is_there, file = word.partition("=")
    if not is_there:
        raise Misuse(f"--control {shorten(word)} names no picture; write NAME=FILE.")
    return scaled(adapter, option="--control") | {"image": data_url(Path(file), option="--control")}


def data_url(file: Path, *, option: str) -> str:
    kind = FORMATS.get(file.suffix.lower())
    if kind is None:
        raise Misuse(f"{option} {shorten(str(file))} is no {', '.join(FORMATS)} file.")
    return f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
