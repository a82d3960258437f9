"""Painting without a server: all rows at once, to the end."""

from collections.abc import Iterator, Sequence
from itertools import islice

from safelight.core.errors import UnknownModel
from safelight.core.job import Job
from safelight.core.level import Level
from safelight.core.model import ModelSpec
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.diffusion.engine import DiffusionEngine

LARGEST_BATCH = 16


def make_job(models: Sequence[ModelSpec], prompt: str, *, model: str, seed: int) -> Job:
    """Return a job with everything at the model's own settings; raises UnknownModel."""
    spec = next((spec for spec in models if spec.name == model), None)
    if spec is None:
        raise UnknownModel(model, [spec.name for spec in models])
    request = ImageRequest(
        id=f"{model}-{seed}-{prompt}",
        prompt=prompt,
        width=spec.width,
        height=spec.height,
        seed=seed,
        arrived_s=0.0,
    )
    level = Level(
        model=model,
        steps=spec.steps,
        guidance_scale=spec.guidance_scale,
        guidance=spec.guidance,
        sampler=spec.sampler,
    )
    return Job(request=request, level=level)


def paint(engine: DiffusionEngine, jobs: Sequence[Job]) -> list[Pixels]:
    """Return the pictures of `jobs`, all of one model and size, in order."""
    engine.begin(jobs)
    waiting = {job.id: job.level.steps_to_run for job in jobs}
    pictures: dict[str, Pixels] = {}
    for tick in range(1, max(waiting.values()) + 1):
        engine.step(list(waiting))
        ready = [request_id for request_id, steps in waiting.items() if steps == tick]
        for request_id in ready:
            del waiting[request_id]
        if ready:
            pictures |= dict(zip(ready, engine.finish(ready), strict=True))
    return [pictures[job.id] for job in jobs]


def paint_all(engine: DiffusionEngine, jobs: Sequence[Job]) -> Iterator[Pixels]:
    """Yield the pictures of any number of jobs of one model and size, a batch at a time."""
    remaining = iter(jobs)
    while batch := list(islice(remaining, LARGEST_BATCH)):
        yield from paint(engine, batch)
