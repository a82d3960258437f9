"""The key in an Authorization header: a bearer token, or the password of HTTP Basic, which browsers ask for."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

LONGEST_HEADER: Final = 8192
"""Bytes; a longer one holds no key, and is not decoded."""


def key_in(authorizations: Sequence[bytes]) -> bytes | None:
    """Return the key in the Authorization headers of one request; None for a malformed one, and for several.

    Of several headers, a proxy and this server could each take another one.
    """
    if len(authorizations) != 1 or len(authorizations[0]) > LONGEST_HEADER:
        return None
    scheme, _, credentials = authorizations[0].strip().partition(b" ")
    match scheme.lower():
        case b"bearer":
            return credentials.strip() or None
        case b"basic":
            return _password(credentials.strip())
    return None


def _password(credentials: bytes) -> bytes | None:
    """Return the password; the user name counts for nothing, and may be empty."""
    try:
        decoded = base64.b64decode(credentials, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded.partition(b":")[2] or None
