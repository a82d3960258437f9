"""Numbered prompts, in shapes that are drawn from weighted profiles."""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec

from safelight.bench.datasets.dataset import DatasetOptions, LoadedRequests, negative
from safelight.bench.datasets.json_text import Count, read_json
from safelight.bench.errors import BadLoad
from safelight.bench.requests import LoadRequest, Shape


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of request, and how many of all are of it."""

    width: Count | None = None
    height: Count | None = None
    num_inference_steps: Count | None = None
    num_frames: Count | None = None
    fps: Count | None = None
    prompt: str | None = None
    weight: Annotated[float, msgspec.Meta(ge=0)] = 1.0


def read_random(wanted: DatasetOptions) -> LoadedRequests:
    """Make requests up."""
    profiles = [Profile()] if wanted.profiles is None else _parsed(wanted.profiles)
    weights = [profile.weight for profile in profiles]
    picks = wanted.rng.choice(len(profiles), size=wanted.count, p=[weight / sum(weights) for weight in weights])
    return LoadedRequests(requests=[_ask(number, profiles[pick], wanted) for number, pick in enumerate(picks)])


def _parsed(text: str) -> Sequence[Profile]:
    found = read_json(text, list[Profile], location="--random-request-config is no list of profiles")
    if not 0 < sum(profile.weight for profile in found) < math.inf:
        raise BadLoad("--random-request-config needs at least one profile with a weight above 0, and a finite sum.")
    return found


def _ask(number: int, profile: Profile, wanted: DatasetOptions) -> LoadRequest:
    shape = Shape(
        profile.width or wanted.shape.width,
        profile.height or wanted.shape.height,
        profile.num_frames or wanted.shape.frames,
        profile.num_inference_steps or wanted.shape.steps,
    )
    return LoadRequest(
        request_id=f"bench-{number}",
        prompt=profile.prompt or f"Random prompt {number} for benchmarking diffusion models",
        negative_prompt=negative(number) if wanted.has_negative_prompts else None,
        shape=shape,
        seed=wanted.seed,
        fps=profile.fps or wanted.fps,
    )
