"""Painting without a server: all rows at once, to the end."""

from collections.abc import Iterator, Sequence
from itertools import islice

from safelight.core.errors import UnknownModel
from safelight.core.model import ModelSpec
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.diffusion.engine import DiffusionEngine

LARGEST_BATCH = 16


def make_request(models: Sequence[ModelSpec], prompt: str, *, model: str, seed: int) -> ImageRequest:
    """Return a request with everything at the model's own settings; raises UnknownModel."""
    spec = next((spec for spec in models if spec.name == model), None)
    if spec is None:
        raise UnknownModel(model, [spec.name for spec in models])
    return ImageRequest(
        id=f"{model}-{seed}-{prompt}",
        model=model,
        prompt=prompt,
        width=spec.width,
        height=spec.height,
        steps=spec.steps,
        guidance_scale=spec.guidance_scale,
        guidance=spec.guidance,
        sampler=spec.sampler,
        seed=seed,
        arrived_s=0.0,
    )


def paint(engine: DiffusionEngine, requests: Sequence[ImageRequest]) -> list[Pixels]:
    """Return the pictures of `requests`, all of one model and size, in order."""
    engine.begin(requests)
    waiting = {request.id: request.steps_to_run for request in requests}
    pictures: dict[str, Pixels] = {}
    for tick in range(1, max(waiting.values()) + 1):
        engine.step(list(waiting))
        ready = [request_id for request_id, steps in waiting.items() if steps == tick]
        for request_id in ready:
            del waiting[request_id]
        if ready:
            pictures |= dict(zip(ready, engine.finish(ready), strict=True))
    return [pictures[request.id] for request in requests]


def paint_all(engine: DiffusionEngine, requests: Sequence[ImageRequest]) -> Iterator[Pixels]:
    """Yield the pictures of any number of requests of one model and size, a batch at a time."""
    remaining = iter(requests)
    while batch := list(islice(remaining, LARGEST_BATCH)):
        yield from paint(engine, batch)
