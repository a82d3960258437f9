"""Times and addresses as tables, pages and sentences tell them."""

import re

_USER = re.compile(r"(?<=://)[^/?#\s]*@")


def format_seconds(value: float) -> str:
    """Say a length of time in milliseconds below one second, else in seconds: 1.52 ms, 12.34 s, 3,600 s."""
    if abs(value) < 0.9995:
        return f"{1000 * value:.3g} ms" if value else "0 s"
    return f"{value:.4g} s" if abs(value) < 999.95 else f"{value:,.0f} s"


def without_credentials(text: str) -> str:
    """Leave user and password out of all addresses in a text."""
    return _USER.sub("", text)
