"""Painting without a server: all rows at once, to the end."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from safelight.core.errors import InvalidParameter, UnknownModel, UnknownSampler
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.core.work import Pixels
from safelight.diffusion.engine import DiffusionEngine

LARGEST_BATCH = 16

OnStep = Callable[[int, int], None]
"""Called with (steps done, steps in all) of the slowest row after every tick."""


def make_request(
    models: Sequence[ModelSpec],
    prompt: str,
    *,
    model: str,
    seed: int,
    steps: int | None = None,
    guidance_scale: float | None = None,
    sampler: str | None = None,
    negative_prompt: str = "",
) -> ImageRequest:
    """Return a request at the model's own size, with the model's defaults for what is not given.

    Raises:
        RequestError: if the model or the sampler is unknown, or `steps` is not positive.
    """
    spec = next((spec for spec in models if spec.name == model), None)
    if spec is None:
        raise UnknownModel(model, [spec.name for spec in models])
    if sampler is not None and sampler not in spec.samplers:
        raise UnknownSampler(sampler, spec.samplers)
    if steps is not None and steps < 1:
        raise InvalidParameter("steps", steps, "it must be at least 1")
    return ImageRequest(
        id=f"{model}-{seed}-{prompt}",
        model=model,
        prompt=prompt,
        negative_prompt=negative_prompt,
        width=spec.width,
        height=spec.height,
        steps=spec.steps if steps is None else steps,
        guidance_scale=spec.guidance_scale if guidance_scale is None else guidance_scale,
        sampler=sampler or spec.sampler,
        seed=seed,
        arrived_s=0.0,
    )


def paint(engine: DiffusionEngine, requests: Sequence[ImageRequest], *, on_step: OnStep | None = None) -> list[Pixels]:
    """Return the pictures of `requests`, all of one model and size, in order."""
    engine.begin(requests)
    waiting = {request.id: request.steps for request in requests}
    longest = max(waiting.values())
    pictures: dict[str, Pixels] = {}
    for tick in range(1, longest + 1):
        engine.step(list(waiting))
        ready = [request_id for request_id, steps in waiting.items() if steps == tick]
        for request_id in ready:
            del waiting[request_id]
        if ready:
            pictures |= dict(zip(ready, engine.finish(ready), strict=True))
        if on_step is not None:
            on_step(tick, longest)
    return [pictures[request.id] for request in requests]


def paint_all(engine: DiffusionEngine, requests: Sequence[ImageRequest]) -> Iterator[Pixels]:
    """Yield the pictures of any number of requests of one model and size, a batch at a time."""
    remaining = iter(requests)
    while batch := list(islice(remaining, LARGEST_BATCH)):
        yield from paint(engine, batch)
