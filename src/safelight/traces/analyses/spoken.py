"""Numbers as findings say them."""

from datetime import UTC, datetime

from safelight.traces.schema import UNIX_TIME_FROM_S

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400

_UNITS = ((2 * DAY_S, DAY_S, "days"), (2 * HOUR_S, HOUR_S, "hours"), (2 * MINUTE_S, MINUTE_S, "minutes"), (1, 1, "s"))


def share(value: float) -> str:
    """Say a share as a percentage with three digits that count, or fewer where it is round: 35.6 %, 100 %."""
    percent = 100 * value
    if 99.95 <= percent < 100:
        return "nearly 100 %"
    return f"{percent:.1f} %" if 10 <= percent < 99.95 else f"{percent:.3g} %"


def seconds(value: float) -> str:
    """Say a length of time in its natural unit: 3.2 s, 12.5 minutes, 20 days."""
    for least, length, unit in _UNITS:
        if value >= least:
            return f"{value / length:.3g} {unit}"
    return f"{1000 * value:.3g} ms" if value else "0 s"


def moment(arrival_s: float) -> str:
    """Say a time of arrival: a date where the trace knows it, else how long after the start it was."""
    if arrival_s < UNIX_TIME_FROM_S:
        day, rest = divmod(int(arrival_s), DAY_S)
        return f"day {day + 1}, {rest // HOUR_S:02d}:{rest % HOUR_S // MINUTE_S:02d}"
    return datetime.fromtimestamp(arrival_s, UTC).strftime("%Y-%m-%d %H:%M")


def short(name: str, most: int = 32) -> str:
    """Return a name for a figure, without its middle if it is long."""
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most // 2 - 1) :]}"


def many(count: int, what: str) -> str:
    """Say how many there are: 1 request, 549,433 requests."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
