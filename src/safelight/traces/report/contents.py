"""The sections of a report on each service of a trace, in their order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from safelight.reports.page import Tile
from safelight.reports.result import Result, result_without_data
from safelight.traces.analyses.caching import Caches, caching
from safelight.traces.analyses.counting import counting
from safelight.traces.analyses.instances import instances
from safelight.traces.analyses.loading import loading
from safelight.traces.analyses.popularity import popularity
from safelight.traces.analyses.published import SIZES
from safelight.traces.analyses.questions import QUESTIONS
from safelight.traces.caches.policy import BELADY, LFU, LRU
from safelight.traces.usage import Usage

CACHE_SIZES = (1, 2, 5, 10, 20, 50)


def _no_tiles(_: Result) -> Sequence[Tile]:
    return ()


@dataclass(frozen=True, kw_only=True)
class ReportSection:
    """A section of the report.

    Attributes:
        ask: analyses one service's requests, given also as one usage if there are any.
        command: the words after `safelight trace` that give the same on the command line.
        tiles: the numbers of the result that the head of the page shows.
    """

    ask: Callable[[pl.LazyFrame, Sequence[Usage]], Result]
    command: tuple[str, ...]
    tiles: Callable[[Result], Sequence[Tile]] = _no_tiles


def _of_usage(
    title: str,
    ask: Callable[[Sequence[Usage]], Result],
    why_not: Callable[[Usage], str],
    *command: str,
) -> ReportSection:
    """Return a question about what requests use; where `why_not` has words, they are the answer."""

    def answer(_: pl.LazyFrame, found: Sequence[Usage]) -> Result:
        why = why_not(found[0]) if found else "There is no request to ask about."
        return result_without_data(command[0], title, why) if why else ask(found)

    return ReportSection(ask=answer, command=command)


def _asks_for_none(usage: Usage) -> str:
    asked = len(usage.controlnets.ids.codes) + len(usage.loras.ids.codes)
    return "" if asked else "No request asks for an adapter."


def _names_none(usage: Usage) -> str:
    names = {*usage.controlnets.ids.names, *usage.loras.ids.names}
    return _asks_for_none(usage) or ("" if names - {None} else "The trace does not tell which adapters it asks for.")


def _names_no_lora(usage: Usage) -> str:
    return "" if set(usage.loras.ids.names) - {None} else "The trace does not tell of any LoRA which it is."


def _has_no_instances(usage: Usage) -> str:
    return _names_none(usage) or ("" if set(usage.instances.names) - {None} else "No request tells its instance.")


def _caches_of_loras(found: Sequence[Usage]) -> Result:
    return caching(found, Caches(adapters="loras", policies=(LRU, LFU, BELADY), sizes=CACHE_SIZES))


def _plain(name: str) -> ReportSection:
    return ReportSection(ask=lambda frame, _: QUESTIONS[name](frame), command=(name,))


CONTENTS: tuple[ReportSection, ...] = (
    _plain("arrivals"),
    _plain("burstiness"),
    _plain("gaps"),
    _of_usage("Adapters in a request, and base models", counting, _asks_for_none, "published"),
    _of_usage("How few adapters most uses fall on", popularity, _names_none, "popularity"),
    _plain("cooccurrence"),
    _plain("working-set"),
    _plain("reuse"),
    _of_usage("Different LoRAs that each instance meets", instances, _has_no_instances, "instances"),
    _of_usage(
        "Adapters loaded for each request",
        lambda found: loading(found, policy=LRU, sizes=SIZES),
        _names_none,
        "adapters",
    ),
    _of_usage(
        "What caches of LoRAs are worth",
        _caches_of_loras,
        _names_no_lora,
        *("caches", "--sizes", ",".join(map(str, CACHE_SIZES))),
    ),
)
