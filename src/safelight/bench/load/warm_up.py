"""Warm-up requests: each shape of a load, sent before its clock starts."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from safelight.bench.errors import ServerUnusable
from safelight.bench.failures import KINDS
from safelight.bench.records import Record
from safelight.bench.requests import LoadRequest

MOST_SHAPES = 16


def warm_up_requests(
    requests: Sequence[LoadRequest], *, rounds: int, steps: int, with_full_steps: bool
) -> list[LoadRequest]:
    """Return `rounds` requests of each of the most frequent shapes, with `steps` denoising steps.

    Args:
        requests: the load.
        rounds: requests of each shape.
        steps: of each request.
        with_full_steps: whether as many requests with the steps of the load are added.
    """
    frequent = Counter(request.shape for request in requests).most_common(MOST_SHAPES)
    firsts = {request.shape: request for request in reversed(requests)}
    found = dict[tuple[object, ...], LoadRequest]()
    for shape, _ in frequent:
        short = msgspec.structs.replace(shape, steps=steps)
        for one in (short, shape) if with_full_steps else (short,):
            key = (one.width, one.height, one.frames, one.steps)
            found.setdefault(key, msgspec.structs.replace(firsts[shape], shape=one, due_s=0.0, deadline_s=None))
    return [
        msgspec.structs.replace(request, request_id=f"warm-up-{number}-{turn}")
        for turn in range(rounds)
        for number, request in enumerate(found.values())
    ]


def check_served(records: Sequence[Record], url: str) -> list[Record]:
    """Return the records of successes; raises ServerUnusable if there is none."""
    good = [record for record in records if record.is_success]
    if records and not good:
        worst, count = Counter(record.failure for record in records).most_common(1)[0]
        message = next(record.message for record in records if record.failure == worst)
        has_adapters = any(record.request.loras or record.request.controlnets for record in records)
        hint = " Adapters that the server does not have are left out with --no-adapters." if has_adapters else ""
        raise ServerUnusable(
            f"None of {len(records)} warm-ups was served by {url}; {count} ended so: "
            f"{KINDS.get(worst, worst)}. It was: {message}{hint}"
        )
    return good
