"""A request, a level and a job, with changes."""

import msgspec

from safelight.core.job import Job
from safelight.core.level import Level
from safelight.core.request import ImageRequest

REQUEST = ImageRequest(id="one", prompt="a red circle", width=64, height=64, seed=7, arrived_s=100.0)
LEVEL = Level(model="shapes-large", steps=25, guidance_scale=3.0, sampler="euler")


def a_request(**changes) -> ImageRequest:
    return msgspec.structs.replace(REQUEST, **changes)


def a_level(**changes) -> Level:
    return msgspec.structs.replace(LEVEL, **changes)


def a_job(request: ImageRequest = REQUEST, level: Level = LEVEL, **fields) -> Job:
    return Job(request=request, level=level, **fields)
