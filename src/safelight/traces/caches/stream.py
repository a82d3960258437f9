"""What the caches see: the adapters that requests name, one access each."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safelight.traces.schema import AdapterColumn
from safelight.traces.usage import Usage

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """Accesses of one kind of adapter, instance after instance, each instance's in order of arrival.

    Within a request they come in its list's order. There is one cache for each instance, so an adapter has another key
    at each; what the caches of all instances do can be told from all accesses as one sequence.

    Attributes:
        keys: (accesses,) what a cache knows an adapter by.
        instances: (accesses,) ascending.
        requests: (accesses,) which request makes the access.
        adapters: (accesses,) which adapter it is, a place in `Lists.ids.names`.
        request_count: of the service, those without adapters among them.
    """

    keys: Integers
    instances: Integers
    requests: Integers
    adapters: Integers
    request_count: int

    def part(self, here: npt.NDArray[np.bool_]) -> "Stream":
        """Return some of the accesses."""
        return Stream(
            keys=self.keys[here],
            instances=self.instances[here],
            requests=self.requests[here],
            adapters=self.adapters[here],
            request_count=self.request_count,
        )


def stream_of(usage: Usage, adapters: AdapterColumn, *, by_base: bool = False) -> Stream:
    """Return what the caches of a service's instances see.

    Args:
        usage: the service's requests.
        adapters: the kind; each kind has caches of its own.
        by_base: whether an adapter beside another base model is another adapter, as it is where it is merged.
    """
    lists = usage.lists(adapters)
    requests = np.repeat(np.arange(usage.requests, dtype=np.int64), lists.lengths)
    instances = usage.instances.codes[requests]
    order = np.argsort(
        instances.astype(np.uint16) if len(usage.instances.names) <= 1 << 16 else instances, kind="stable"
    )
    requests, owners, ids = requests[order], instances[order].astype(np.int64), lists.ids.codes[order].astype(np.int64)
    keys = owners * len(lists.ids.names) + ids
    if by_base:
        keys = keys * len(usage.base_models.names) + usage.base_models.codes[requests]
    return Stream(keys=keys, instances=owners, requests=requests, adapters=ids, request_count=usage.requests)
