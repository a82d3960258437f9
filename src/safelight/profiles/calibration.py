"""What a calibrating process writes to its standard output: one line of JSON for each message."""

import msgspec

from safelight.profiles.parts import Curve, LevelQuality, SimilarityQuality
from safelight.profiles.profile import Profile


class Calibrating(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`done` of `total` measurements are over."""

    done: int
    total: int


class QualityFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of a model's pictures: the fields of `Profile` that are about quality."""

    quality_metric: str
    quality: tuple[LevelQuality, ...]
    similarity: tuple[SimilarityQuality, ...] = ()
    deferral: Curve = ()
    mix_quality: Curve = ()

    def in_profile(self, profile: Profile) -> Profile:
        """Return a profile with these figures."""
        return msgspec.structs.replace(profile, **msgspec.structs.asdict(self))


class Judged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The quality was measured."""

    figures: QualityFigures


class Calibrated(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All measurements are over."""

    profile: Profile
