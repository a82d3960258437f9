"""Numbered prompts, in shapes that are drawn from weighted profiles."""

from collections.abc import Sequence

import msgspec

from safelight.bench.asks import Ask, Shape
from safelight.bench.datasets.wanted import Asked, Wanted, negative
from safelight.bench.errors import BadLoad
from safelight.core.errors import shorten


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of request, and how many of all are of it."""

    width: int | None = None
    height: int | None = None
    num_inference_steps: int | None = None
    num_frames: int | None = None
    fps: int | None = None
    prompt: str | None = None
    weight: float = 1.0


def read_random(wanted: Wanted) -> Asked:
    """Make requests up."""
    profiles = [Profile()] if wanted.profiles is None else _parsed(wanted.profiles)
    weights = [profile.weight for profile in profiles]
    picks = wanted.rng.choice(len(profiles), size=wanted.count, p=[weight / sum(weights) for weight in weights])
    return Asked(asks=[_ask(number, profiles[pick], wanted) for number, pick in enumerate(picks)])


def _parsed(text: str) -> Sequence[Profile]:
    try:
        found = msgspec.json.decode(text, type=list[Profile])
    except msgspec.DecodeError as error:
        raise BadLoad(f"--random-request-config is no list of profiles: {error}. It is {shorten(text)}.") from None
    if not found or not all(0 <= profile.weight < float("inf") for profile in found):
        raise BadLoad("--random-request-config needs at least one profile, and weights that are not negative.")
    if not sum(profile.weight for profile in found):
        raise BadLoad("--random-request-config has weights of 0 only.")
    return found


def _ask(number: int, profile: Profile, wanted: Wanted) -> Ask:
    shape = Shape(
        profile.width or wanted.shape.width,
        profile.height or wanted.shape.height,
        profile.num_frames or wanted.shape.frames,
        profile.num_inference_steps or wanted.shape.steps,
    )
    return Ask(
        request_id=f"bench-{number}",
        prompt=profile.prompt or f"Random prompt {number} for benchmarking diffusion models",
        negative_prompt=negative(number) if wanted.has_negative_prompts else None,
        shape=shape,
        seed=wanted.seed,
        fps=profile.fps or wanted.fps,
    )
