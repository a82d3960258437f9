"""Prints the description of a trace."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from safelight.traces.describing import (
    COMMON_SHARE,
    RARE_REQUESTS,
    Adapters,
    Description,
    Durations,
    Facts,
    Predictions,
)
from safelight.traces.schema import UNIX_TIME_FROM_S

SHOWN_MODELS = 5
SHOWN_SERVICES = 10


def print_description(description: Description) -> None:
    """Print what is known of a trace: all of it first, then the largest services."""
    print(f"{description.path} ({description.source})")
    services = sorted(description.services, key=lambda facts: (-facts.requests, facts.service or ""))
    is_one = len(services) == 1 and services[0].requests == description.whole.requests
    for facts in services if is_one else (description.whole, *services[:SHOWN_SERVICES]):
        print()
        _print_facts(facts)
    if len(services) > SHOWN_SERVICES:
        print(f"\n{len(services) - SHOWN_SERVICES:,} more services; --json tells all, --service NAME tells one.")


def _print_facts(facts: Facts) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, words in _lines(facts):
        table.add_row(name, escape(words))
    Console(soft_wrap=True).print(table)


def _lines(facts: Facts) -> Iterator[tuple[str, str]]:
    if facts.service is not None:
        yield "service", facts.service
    yield "requests", f"{facts.requests:,}"
    if facts.first_s is not None and facts.last_s is not None:
        yield "arrivals", f"{_moment(facts.first_s)} to {_moment(facts.last_s)}"
    if facts.rate is not None:
        yield "rate", f"{facts.rate:.4g} a second"
    for name, count in (("instances", facts.instances), ("tenants", facts.tenants)):
        if count:
            yield name, f"{count:,}"
    yield from _models(facts)
    yield from _adapters("ControlNets", facts.controlnets)
    yield from _adapters("LoRAs", facts.loras)
    for name, counts in (("tasks", facts.tasks), ("outcomes", facts.statuses), ("origins", facts.origins)):
        if counts:
            yield name, _shares(counts, facts.requests)
    if facts.durations:
        yield "durations", _durations(facts.durations)
    if facts.predictions:
        yield "predictions", _predictions(facts.predictions)


def _models(facts: Facts) -> Iterator[tuple[str, str]]:
    if facts.base_models:
        shown = ", ".join(f"{model.name} {model.share:.1%}" for model in facts.common_base_models[:SHOWN_MODELS])
        over = f"{len(facts.common_base_models)} over {COMMON_SHARE:.0%}"
        yield "base models", f"{facts.base_models:,}, {over}" + (f": {shown}" if shown else "")
    else:
        yield "base models", "not told"


def _adapters(title: str, adapters: Adapters) -> Iterator[tuple[str, str]]:
    if adapters.unknown and not adapters.invocations:
        yield title, "not told"
        return
    names = f"{adapters.distinct:,} different" if adapters.distinct or not adapters.invocations else "names not told"
    yield title, f"{names}, asked for {adapters.invocations:,} times"
    counts = (f"{each.adapters}{'*' * each.is_rare} {each.share:.2%}" for each in adapters.per_request)
    note = f" (* fewer than {RARE_REQUESTS} requests)" if any(each.is_rare for each in adapters.per_request) else ""
    yield f"{title} a request", ", ".join(counts) + note


def _predictions(errors: Predictions) -> str:
    spread = f"p5 {errors.p5:+.3g}, p50 {errors.p50:+.3g}, p95 {errors.p95:+.3g} s"
    late = f"{errors.longer:.1%} of {errors.known:,} requests took longer"
    return f"took {errors.mean:+.3g} s more than predicted on average, {spread}; {late}"


def _durations(durations: Durations) -> str:
    spread = f"p50 {durations.p50:g}, p95 {durations.p95:g}, p99 {durations.p99:g}, max {durations.max:.4g} s"
    return f"mean {durations.mean:.4g}, {spread}, of {durations.known:,} requests"


def _shares(counts: Mapping[str, int], requests: int) -> str:
    return ", ".join(f"{name} {count:,} ({count / requests:.1%})" for name, count in counts.items())


def _moment(arrival_s: float) -> str:
    if arrival_s >= UNIX_TIME_FROM_S:
        return f"{datetime.fromtimestamp(arrival_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return str(timedelta(seconds=round(arrival_s)))
