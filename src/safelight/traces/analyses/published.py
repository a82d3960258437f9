"""The five analyses that were published as scripts with the Katz trace (Li et al., USENIX ATC 2025)."""

from collections.abc import Iterator, Sequence

from safelight.reports.result import Result
from safelight.traces.analyses.counting import counting
from safelight.traces.analyses.instances import instances
from safelight.traces.analyses.loading import loading
from safelight.traces.analyses.popularity import popularity
from safelight.traces.caches.policy import LFU, LRU
from safelight.traces.usage import Usage

SIZES = range(1, 11)


def published(services: Sequence[Usage]) -> Iterator[tuple[str, Result]]:
    """Give each analysis with a name for its files; loads are counted under both policies of the script."""
    yield "counting", counting(services)
    yield "popularity", popularity(services)
    for policy in (LRU, LFU):
        yield f"adapters_{policy.name}", loading(services, policy=policy, sizes=SIZES)
    yield "instances", instances(services)
