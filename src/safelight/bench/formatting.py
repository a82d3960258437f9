"""Formats durations and addresses for tables, pages and sentences."""

import re

_USER = re.compile(r"(?<=://)[^/?#\s]*@")


def format_seconds(value: float) -> str:
    """Format a duration in milliseconds below one second, else in seconds: 1.52 ms, 12.34 s, 3,600 s."""
    if abs(value) < 0.9995:
        return f"{1000 * value:.3g} ms" if value else "0 s"
    return f"{value:.4g} s" if abs(value) < 999.95 else f"{value:,.0f} s"


def without_credentials(text: str) -> str:
    """Remove user and password from all addresses in a text."""
    return _USER.sub("", text)
