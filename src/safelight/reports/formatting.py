"""Numbers and names as text for findings and figures."""

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400

_UNITS = (
    (2 * DAY_S, DAY_S, "days"),
    (2 * HOUR_S, HOUR_S, "hours"),
    (2 * MINUTE_S, MINUTE_S, "minutes"),
    (0.9995, 1, "s"),
)


def format_share(value: float) -> str:
    """Return a share as a percentage with at most three significant digits: 35.6 %, 100 %."""
    percent = 100 * value
    if 99.95 <= percent < 100:
        return "nearly 100 %"
    return f"{percent:.1f} %" if 10 <= percent < 99.95 else f"{percent:.3g} %"


def format_number(value: float) -> str:
    """Return a number with three significant digits, or rounded to the unit from 1,000 on: 0.095, 3.68, 1,020."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def format_duration(seconds: float) -> str:
    """Return a duration in the unit that suits it: 3.2 s, 12.5 minutes, 20 days."""
    for least, length, unit in _UNITS:
        if seconds >= least:
            return f"{seconds / length:.3g} {unit}"
    return f"{1000 * seconds:.3g} ms" if seconds else "0 s"


def shorten_name(name: str, most: int = 32) -> str:
    """Return a name with at most `most` characters; a longer one loses its middle."""
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most // 2 - 1) :]}"


def format_count(count: int, what: str) -> str:
    """Return a count with its noun: 1 request, 549,433 requests."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
