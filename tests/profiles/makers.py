"""A profile with changes."""

from safelight.core.model import StepTime
from safelight.profiles.profile import Profile


def a_profile(*, seconds=(0.02, 0.03, 0.05), **changes) -> Profile:
    """`seconds` are those of one row, of two, of four, and so on."""
    fields = {
        "model": "shapes-large",
        "width": 64,
        "height": 64,
        "step_times": tuple(StepTime(denoiser_rows=2**power, seconds=value) for power, value in enumerate(seconds)),
        "encode_s": 0.007,
        "decode_s": 0.004,
        "encode_picture_s": 0.002,
    }
    return Profile(**fields | changes)
