"""What the caches see: the adapters that requests name, one access each."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.traces.schema import AdapterColumn
from safelight.traces.usage import Usage

Integers = npt.NDArray[np.integer[Any]]


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


def joined(streams: Sequence[Stream]) -> Stream:
    """Return streams as one, with caches of their own for each: replaying it is replaying them one after the other."""
    return Stream(
        keys=_apart([stream.keys for stream in streams]),
        instances=_apart([stream.instances for stream in streams]),
        requests=_apart([stream.requests for stream in streams]),
        adapters=_apart([stream.adapters for stream in streams]),
        request_count=sum(stream.request_count for stream in streams),
    )


def _apart(columns: Sequence[Integers]) -> Integers:
    """Return columns of numbers one behind the other, raised so that none has a number of another."""
    first = itertools.accumulate((int(column.max(initial=-1)) + 1 for column in columns), initial=0)
    return _shortest(np.concatenate([column + np.int64(start) for column, start in zip(columns, first, strict=False)]))


def stream_of(usage: Usage, adapters: AdapterColumn, *, by_base: bool = False) -> Stream:
    """Return what the caches of a service's instances see.

    Args:
        usage: the service's requests.
        adapters: the kind; each kind has caches of its own.
        by_base: whether an adapter beside another base model is another adapter, as it is where it is merged.
    """
    lists = usage.lists(adapters)
    requests = np.repeat(np.arange(usage.requests, dtype=np.int32), lists.lengths)
    instances = usage.instances.codes[requests]
    short = len(usage.instances.names) <= 1 << 16
    order = np.argsort(instances.astype(np.uint16) if short else instances, kind="stable")
    requests, owners, ids = requests[order], instances[order], lists.ids.codes[order]
    keys = owners * np.int64(len(lists.ids.names)) + ids
    if by_base:
        keys = keys * len(usage.base_models.names) + usage.base_models.codes[requests]
    return Stream(
        keys=_shortest(keys),
        instances=_shortest(owners),
        requests=requests,
        adapters=_shortest(ids),
        request_count=usage.requests,
    )


def _shortest(numbers: Integers) -> Integers:
    """Return numbers in half the bytes where they fit."""
    return numbers.astype(np.int32) if numbers.max(initial=0) < 1 << 31 else numbers
