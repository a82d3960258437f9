"""Jobs from plain fields, whichever of request and level they belong to."""

import msgspec

from safelight.core.adapter import AdapterHandle, AdapterUse, composition_of
from safelight.core.job import Job
from safelight.core.level import Level
from safelight.core.request import ImageRequest

LEVEL = frozenset(Level.__struct_fields__)


def handle(name: str) -> AdapterHandle:
    return AdapterHandle(name=name, generation=1)


def composition(**scales):
    return composition_of(AdapterUse(handle=handle(name), scale=scale) for name, scale in scales.items())


def make_job(request_id: str, **fields) -> Job:
    """Every field has a default but the id; adapters are of their first generation."""
    defaults = {
        "prompt": "a large red circle on a white background",
        "width": 64,
        "height": 64,
        "seed": 7,
        "arrived_s": 0.0,
    }
    level = {"model": "shapes-large", "steps": 8, "guidance_scale": 3.0, "sampler": "euler"}
    level |= {name: value for name, value in fields.items() if name in LEVEL}
    asked = defaults | {name: value for name, value in fields.items() if name not in LEVEL}
    return bound(Job(request=ImageRequest(id=request_id, **asked), level=Level(**level)))


def but(job: Job, **fields) -> Job:
    """Return `job` with other fields of its request or level."""
    level = {name: value for name, value in fields.items() if name in LEVEL}
    asked = {name: value for name, value in fields.items() if name not in LEVEL}
    request = msgspec.structs.replace(job.request, **asked)
    return bound(msgspec.structs.replace(job, request=request, level=msgspec.structs.replace(job.level, **level)))


def bound(job: Job) -> Job:
    return msgspec.structs.replace(job, adapters=tuple(handle(name) for name in job.request.adapters))
