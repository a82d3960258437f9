"""Numbered prompts with shapes drawn from weighted profiles."""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec

from safelight.bench.datasets.dataset import Dataset, DatasetOptions, LoadedRequests, negative_prompt_of
from safelight.bench.datasets.json_text import Count, read_json
from safelight.bench.errors import BadLoad
from safelight.bench.media.shape import Shape
from safelight.bench.requests import LoadRequest


class RequestProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of request, and its weight among all kinds."""

    width: Count | None = None
    height: Count | None = None
    num_inference_steps: Count | None = None
    num_frames: Count | None = None
    fps: Count | None = None
    prompt: str | None = None
    weight: Annotated[float, msgspec.Meta(ge=0)] = 1.0


def read_random(options: DatasetOptions) -> LoadedRequests:
    """Return random requests."""
    profiles = [RequestProfile()] if options.profiles is None else _parsed(options.profiles)
    weights = [profile.weight for profile in profiles]
    picks = options.rng.choice(len(profiles), size=options.count, p=[weight / sum(weights) for weight in weights])
    return LoadedRequests(requests=[_request_of(number, profiles[pick], options) for number, pick in enumerate(picks)])


def _parsed(text: str) -> Sequence[RequestProfile]:
    found = read_json(text, list[RequestProfile], location="--random-request-config is no list of profiles")
    if not 0 < sum(profile.weight for profile in found) < math.inf:
        raise BadLoad("--random-request-config needs at least one profile with a weight above 0, and a finite sum.")
    return found


def _request_of(number: int, profile: RequestProfile, options: DatasetOptions) -> LoadRequest:
    shape = Shape(
        profile.width or options.shape.width,
        profile.height or options.shape.height,
        profile.num_frames or options.shape.frames,
        profile.num_inference_steps or options.shape.steps,
    )
    return LoadRequest(
        request_id=f"bench-{number}",
        prompt=profile.prompt or f"Random prompt {number} for benchmarking diffusion models",
        negative_prompt=negative_prompt_of(number) if options.has_negative_prompts else None,
        shape=shape,
        seed=options.seed,
        fps=profile.fps or options.fps,
    )


RANDOM = Dataset(name="random", read=read_random)
