"""Why a request cannot be decoded, in words."""

import re
from collections.abc import Sequence

import msgspec

from safelight.core.errors import nearest


def describe_decode_error(error: Exception, known: Sequence[str]) -> tuple[str, str]:
    """Return the reason in a few words, to count by, and in a sentence.

    Args:
        error: that msgspec or a codec raised.
        known: the fields that a request may have.
    """
    text = str(error)
    if isinstance(error, UnicodeError):
        return "not UTF-8", "It is not UTF-8."
    if not isinstance(error, msgspec.ValidationError):
        return "broken JSON", f"{text}."
    if unknown := re.search(r"unknown field `(.*)`", text):
        return "unknown fields", f"No field is named {unknown[1]!r}; {nearest(unknown[1], known)}"
    return "wrong types", f"{text}."
