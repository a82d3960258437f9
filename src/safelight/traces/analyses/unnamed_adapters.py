"""Adapters that a trace does not name."""

from collections.abc import Iterator, Sequence

import numpy as np

from safelight.reports.formatting import format_count
from safelight.traces.analyses.uses import KINDS
from safelight.traces.schema import AdapterColumn
from safelight.traces.usage import Usage


def unnamed_adapter_notes(services: Sequence[Usage], kinds: Sequence[AdapterColumn] = tuple(KINDS)) -> Iterator[str]:
    """Yield a sentence for each kind of adapters with uses without a name; caches take all of them for one adapter."""
    for usage in services:
        for kind in kinds:
            ids = usage.lists(kind).ids
            if ids.names and ids.names[-1] is None:
                uses = int(np.count_nonzero(ids.codes == len(ids.names) - 1))
                yield (
                    f"{usage.subject}: {format_count(uses, f'{KINDS[kind]} use')} without a name count as one "
                    "and the same."
                )
