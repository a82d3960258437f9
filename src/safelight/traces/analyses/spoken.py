"""Numbers as findings say them."""

from datetime import UTC, datetime

from safelight.traces.schema import UNIX_TIME_FROM_S

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400

_UNITS = (
    (2 * DAY_S, DAY_S, "days"),
    (2 * HOUR_S, HOUR_S, "hours"),
    (2 * MINUTE_S, MINUTE_S, "minutes"),
    (0.9995, 1, "s"),
)


def share(value: float) -> str:
    """Say a share as a percentage with three digits that count, or fewer where it is round: 35.6 %, 100 %."""
    percent = 100 * value
    if 99.95 <= percent < 100:
        return "nearly 100 %"
    return f"{percent:.1f} %" if 10 <= percent < 99.95 else f"{percent:.3g} %"


def number(value: float) -> str:
    """Say a number with three digits that count, or to the unit if it is large: 0.095, 3.68, 1,020."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def seconds(value: float) -> str:
    """Say a length of time in its natural unit: 3.2 s, 12.5 minutes, 20 days."""
    for least, length, unit in _UNITS:
        if value >= least:
            return f"{value / length:.3g} {unit}"
    return f"{1000 * value:.3g} ms" if value else "0 s"


def moment(arrival_s: float) -> str:
    """Say a time of arrival: a date where the trace knows it, else which day it is of the trace."""
    time = datetime.fromtimestamp(arrival_s, UTC)
    day = f"day {int(arrival_s // DAY_S) + 1}," if arrival_s < UNIX_TIME_FROM_S else f"{time:%Y-%m-%d}"
    return f"{day} {time:%H:%M}" + (f":{time:%S}" if time.second else "")


def short(name: str, most: int = 32) -> str:
    """Return a name for a figure, without its middle if it is long."""
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most // 2 - 1) :]}"


def many(count: int, what: str) -> str:
    """Say how many there are: 1 request, 549,433 requests."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
