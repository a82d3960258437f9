"""Texts of errors that leave the server: they name files, and do not say where these are."""

import re
from typing import Final

_QUOTED: Final = re.compile(
    r"""(?P<quote>['"`])(?:file://)?(?:[A-Za-z]:)?[/\\](?P<path>(?:(?!(?P=quote))[^\n])*)(?P=quote)"""
)
_BARE: Final = re.compile(
    r"""(?<![\w.:/\\])(?:file://)?(?:[A-Za-z]:[/\\]|[/\\])(?P<path>[^\s"`;()<>]*[/\\][^\s"`;()<>]*?)(?=[,:.']*(?:[\s"`;()<>]|$))"""
)
_ADDRESS: Final = re.compile(r"\s+at 0x[0-9A-Fa-f]+|\b0x[0-9A-Fa-f]{6,}\b")


def public_text(text: str) -> str:
    """Return `text` with the names of files in place of their absolute paths, and without addresses of memory."""
    named = _QUOTED.sub(lambda found: found["quote"] + _name(found["path"]) + found["quote"], text)
    named = _BARE.sub(lambda found: _name(found["path"]), named)
    return _ADDRESS.sub("", named)


def _name(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]
