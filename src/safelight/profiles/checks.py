"""What must hold for the figures of a profile."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec

from safelight.core.errors import ProfileError
from safelight.core.model import StepTime
from safelight.profiles.parts import Curve

MOST: Final = 1 << 62

NOISE: Final = 0.25
"""Times of more pixels may fall to this share of those of fewer; what falls further is a mistake."""


def check(profile: Any) -> None:  # noqa: ANN401 - a Profile, which imports this module
    """Raise ProfileError for figures that cannot be."""
    if not profile.step_times or min(profile.width, profile.height) < 1:
        raise ProfileError("It needs step_times and a size of at least one pixel")
    _check_numbers(profile)
    _check_times(profile.step_times, "step_times")
    for number, size in enumerate(profile.sizes):
        if not size.step_times or min(size.width, size.height) < 1:
            raise ProfileError(f"`sizes[{number}]` needs step_times and a size of at least one pixel")
        _check_times(size.step_times, f"sizes[{number}].step_times")
        _check_times(size.controlnet_times, f"sizes[{number}].controlnet_times")
    _check_times(profile.controlnet_times, "controlnet_times")
    _check_batch(profile.encode_batch, "encode_batch")
    _check_batch(profile.decode_batch, "decode_batch")
    _check_deferral(profile.deferral)
    _check_curve(profile.mix_quality, "mix_quality")
    _check_sizes(profile)
    _check_pixels(profile)
    _check_levels(profile.quality, "quality")
    _check_levels(profile.similarity, "similarity")
    for number, level in enumerate(profile.similarity):
        if not level.curve:
            raise ProfileError(f"`similarity[{number}].curve` has no points")
        _check_curve(level.curve, f"similarity[{number}].curve")


def _check_sizes(profile: Any) -> None:  # noqa: ANN401 - see `check`
    sizes = [(profile.width, profile.height), *((size.width, size.height) for size in profile.sizes)]
    if doubled := {size for size in sizes if sizes.count(size) > 1}:
        width, height = min(doubled)
        raise ProfileError(f"`sizes` has {width}x{height} twice, with the model's own size")


def _check_pixels(profile: Any) -> None:  # noqa: ANN401 - see `check`
    """Raise ProfileError if calls of as many rows take far less time with more pixels."""
    places = {id(size): f"sizes[{number}].step_times" for number, size in enumerate(profile.sizes)}
    ordered = sorted((profile, *profile.sizes), key=lambda size: size.width * size.height)
    for fewer, more in pairwise(ordered):
        known = {time.denoiser_rows: time.seconds for time in fewer.step_times}
        for time in more.step_times:
            if time.seconds < NOISE * known.get(time.denoiser_rows, 0.0):
                raise ProfileError(
                    f"`{places.get(id(more), 'step_times')}` falls from {known[time.denoiser_rows]:g} s at "
                    f"{fewer.width}x{fewer.height} to {time.seconds:g} s at {more.width}x{more.height}, for "
                    f"{time.denoiser_rows} rows; more pixels take more time"
                )


def _check_batch(curve: Curve, place: str) -> None:
    _check_curve(curve, place)
    if curve and curve[0][0] != 1:
        raise ProfileError(f"`{place}` begins with {curve[0][0]:g}; its first point is that of 1")
    if any(seconds <= 0 for _, seconds in curve):
        raise ProfileError(f"`{place}` has a call that takes no time")
    if wrong := [count for count, _ in curve if count != int(count)]:
        raise ProfileError(f"`{place}` has {wrong[0]:g} in one call; it must be a whole number")


def _check_levels(levels: Sequence[Any], place: str) -> None:
    seen: set[tuple[int, int]] = set()
    for number, level in enumerate(levels):
        if not 0 <= level.first_step < level.steps:
            raise ProfileError(f"`{place}[{number}]` skips {level.first_step} of {level.steps} steps")
        if (level.steps, level.first_step) in seen:
            raise ProfileError(f"`{place}` has {level.steps} steps from step {level.first_step} on twice")
        seen.add((level.steps, level.first_step))


def _check_numbers(profile: Any) -> None:  # noqa: ANN401 - see `check`
    for place, number in _numbers(msgspec.to_builtins(profile), ""):
        if not math.isfinite(number):
            raise ProfileError(f"`{place}` is {number}; it must be a finite number")
        if number < 0 and not place.startswith(("quality", "mix_quality", "similarity")):
            raise ProfileError(f"`{place}` is {number}; it must not be negative")


def _numbers(value: Any, place: str) -> Iterable[tuple[str, float]]:  # noqa: ANN401 - any part of a profile
    match value:
        case bool():
            return
        case int() if abs(value) > MOST:
            raise ProfileError(f"`{place}` is too large a number")
        case int() | float():
            yield place, float(value)
        case dict():
            for name, part in value.items():
                yield from _numbers(part, f"{place}.{name}" if place else name)
        case list() | tuple():
            for number, part in enumerate(value):
                yield from _numbers(part, f"{place}[{number}]")


def _check_times(times: Sequence[StepTime], place: str) -> None:
    rows = [time.denoiser_rows for time in times]
    if any(count < 1 for count in rows):
        raise ProfileError(f"`{place}` has a call without rows")
    if doubled := {count for count in rows if rows.count(count) > 1}:
        raise ProfileError(f"`{place}` has two times for {min(doubled)} rows")


def _check_deferral(curve: Curve) -> None:
    _check_curve(curve, "deferral")
    for (threshold, share), (later, more) in pairwise(curve):
        if more < share:
            raise ProfileError(
                f"`deferral` falls from {share:g} at {threshold:g} to {more:g} at {later:g}; "
                "a gate with a higher threshold escalates more"
            )
    if any(share > 1 for _, share in curve):
        raise ProfileError("`deferral` has a share above 1")


def _check_curve(curve: Curve, place: str) -> None:
    for (before, _), (after, _) in pairwise(curve):
        if after <= before:
            raise ProfileError(
                f"`{place}` goes back from {before:g} to {after:g}; its points must be in ascending order"
            )
