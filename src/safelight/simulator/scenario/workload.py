"""`[workload]`: which requests arrive, and when."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from safelight.core.errors import nearest
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.quantities import (
    Factor,
    Name,
    NotNegative,
    Numbers,
    RequestCount,
    Share,
    WorkerCount,
    check_numbers,
    parse_size,
)
from safelight.traces.row import ANY_MODEL

LIKE = ("katz-a", "katz-b", "katz")
"""Published traces whose statistics are built in; katz has both services."""

PROCESSES = ("constant", "poisson", "gamma", "bursty", "diurnal")

Column = Literal["model", "steps", "size", "deadline", "adapters", "task"]
"""What requests of a trace may get from the scenario instead."""


class TraceSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The requests of a trace.

    Attributes:
        path: of any file that `safelight trace` reads, beside the scenario.
        service: takes the requests of this service only.
        requests: takes the first ones only.
        lenient: leaves out requests that cannot be read.
        only_ended: leaves out requests that were cancelled, or came before a server was ready, or do not tell how and
            after how long they ended.
        replace: what the mix and the deadlines of the scenario replace even where the trace has it.
    """

    path: Name
    service: str | None = None
    requests: RequestCount | None = None
    lenient: bool = False
    only_ended: bool = False
    replace: tuple[Column, ...] = ()


class LikeSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Synthesized requests like those of a published or of another trace; their adapters are those of the original.

    Attributes:
        trace: katz-a, katz-b, katz, or a path beside the scenario.
        requests: how many; None is as many as there.
        instances: for so many serving instances as there; None is in proportion to `requests`.
        skew: the popularity of LoRAs is raised to this power.
        bursts: how many times as fast requests arrive in bursts as between them.
        diurnal: swing of a day as a share of the rate.
        replace: what the mix and the deadlines of the scenario replace even where the original has it.
    """

    trace: Name
    requests: RequestCount | None = None
    instances: WorkerCount | None = None
    skew: NotNegative = 1.0
    bursts: Factor = 1.0
    diurnal: Share = 0.0
    replace: tuple[Column, ...] = ()


class ArrivalSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests that an arrival process brings.

    Attributes:
        process: constant, poisson, gamma, bursty or diurnal.
        rate_per_s: requests per second, on average.
        rate_curve: pairs of seconds after the start and requests per second then, on a line in between, instead.
        duration_s: until no more arrive; None is the end of the curve.
        requests: until no more arrive, instead.
        cv: coefficient of variation of the gaps of gamma.
        factor: of bursty: how many times as high the rate is in bursts.
        burst_share: of bursty: the share of time in bursts.
        burst_s: of bursty: the mean length of a burst.
        amplitude: of diurnal: the swing as a share of the rate.
        period_s: of diurnal.
    """

    process: Literal["constant", "poisson", "gamma", "bursty", "diurnal"] = "poisson"
    rate_per_s: Factor | None = None
    rate_curve: tuple[tuple[NotNegative, NotNegative], ...] = ()
    duration_s: Factor | None = None
    requests: RequestCount | None = None
    cv: Factor = 2.0
    factor: Factor = 5.0
    burst_share: Share = 0.1
    burst_s: Factor = 60.0
    amplitude: Share = 0.5
    period_s: Factor = 86_400.0


class MixEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of request.

    Attributes:
        model: that requests name; `any` leaves it to the level policy.
        share: of requests, relative to the other kinds.
        steps: one number, some, or a span; None is the model's.
        sizes: equally likely sizes such as 512x512; none is the model's.
        guidance_scale: None is the model's.
        deadline_s: instead of that of `[deadlines]`.
        tenant: on whose behalf.
    """

    model: Name
    share: Factor = 1.0
    steps: Numbers | None = None
    sizes: tuple[str, ...] = ()
    guidance_scale: NotNegative | None = None
    deadline_s: Factor | None = None
    tenant: str = ""


class Workload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of the fleet: one of `trace`, `like` and `arrivals`, and the kinds of requests.

    Attributes:
        trace: the requests of a trace.
        like: synthesized requests like those of a trace.
        arrivals: requests of an arrival process.
        mix: kinds of requests; where a trace has a value, the trace's counts.
        models: by name of a model in the trace: the model of the scenario that serves it.
    """

    trace: TraceSource | None = None
    like: LikeSource | None = None
    arrivals: ArrivalSource | None = None
    mix: tuple[MixEntry, ...] = ()
    models: dict[str, str] = {}


def check_workload(workload: Workload, models: Sequence[str]) -> None:
    """Raise BadScenario for a workload that has no source, or several, or names models that do not exist."""
    sources = [name for name in ("trace", "like", "arrivals") if getattr(workload, name) is not None]
    if len(sources) != 1:
        found = " and ".join(sources) or "none of them"
        raise BadScenario(
            f"needs one of `trace`, `like` and `arrivals`, and has {found}; leave one table.", place="workload"
        )
    if workload.arrivals is not None:
        _check_arrivals(workload.arrivals)
        if not workload.mix:
            raise BadScenario("is missing; say which models the requests ask for.", place="workload.mix")
    for number, entry in enumerate(workload.mix):
        _check_entry(entry, models, f"workload.mix[{number}]")
    _check_names(workload.models, models)


def _check_arrivals(arrivals: ArrivalSource) -> None:
    if arrivals.rate_curve:
        _check_curve(arrivals)
    elif arrivals.rate_per_s is None:
        raise BadScenario("is missing; give it or `rate_curve`.", place="workload.arrivals.rate_per_s")
    elif (arrivals.duration_s is None) == (arrivals.requests is None):
        raise BadScenario("needs `duration_s` or `requests`, and not both.", place="workload.arrivals")
    if arrivals.process == "bursty" and not 0 < arrivals.burst_share < 1:
        raise BadScenario(
            f"is {arrivals.burst_share:g}; it must be greater than 0 and less than 1.",
            place="workload.arrivals.burst_share",
        )
    if arrivals.process == "bursty" and arrivals.factor < 1:
        raise BadScenario(f"is {arrivals.factor:g}; it must be at least 1.", place="workload.arrivals.factor")


def _check_curve(arrivals: ArrivalSource) -> None:
    place = "workload.arrivals.rate_curve"
    times_s, rates = zip(*arrivals.rate_curve, strict=True)
    if arrivals.rate_per_s is not None or arrivals.duration_s is not None or arrivals.requests is not None:
        raise BadScenario("stands instead of `rate_per_s`, `duration_s` and `requests`; leave these out.", place=place)
    if list(times_s) != sorted(set(times_s)) or len(times_s) < 2 or times_s[0] > 0:
        raise BadScenario("needs two points or more, whose times begin at 0 and rise.", place=place)
    if not any(rates):
        raise BadScenario("is 0 everywhere; some rate must be greater than 0.", place=place)


def _check_entry(entry: MixEntry, models: Sequence[str], place: str) -> None:
    if entry.model != ANY_MODEL and entry.model not in models:
        raise BadScenario(f"is {entry.model!r}; {nearest(entry.model, models)}", place=f"{place}.model")
    check_numbers(entry.steps, f"{place}.steps")
    for number, size in enumerate(entry.sizes):
        parse_size(size, f"{place}.sizes[{number}]")


def _check_names(named: Mapping[str, str], models: Sequence[str]) -> None:
    for theirs, ours in named.items():
        if ours not in models:
            raise BadScenario(f"is {ours!r}; {nearest(ours, models)}", place=f"workload.models.{theirs}")
