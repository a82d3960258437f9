"""What a calibrating process writes to its standard output: one line of JSON for each message."""

import msgspec

from safelight.profiles.profile import Profile


class Calibrating(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`done` of `total` measurements are over."""

    done: int
    total: int


class Calibrated(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All measurements are over."""

    profile: Profile
