"""Parts of a profile."""

import msgspec

from safelight.core.model import StepTime

Curve = tuple[tuple[float, float], ...]
"""Points of a line, in ascending order of the first number."""


class SizeTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was measured at one picture size in pixels; None takes the figure of the model's own size, by pixels."""

    width: int
    height: int
    step_times: tuple[StepTime, ...]
    decode_s: float | None = None
    encode_picture_s: float | None = None
    controlnet_times: tuple[StepTime, ...] = ()


class LoadTime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a load takes: `constant_s` seconds, and `s_per_byte` for each byte."""

    constant_s: float = 0.0
    s_per_byte: float = 0.0

    def seconds(self, weights_bytes: int) -> float:
        return self.constant_s + weights_bytes * self.s_per_byte


class LoadTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Loads from each tier: from another machine, from the disk into host memory, and from there to the device."""

    remote: LoadTime = LoadTime()
    disk: LoadTime = LoadTime()
    host: LoadTime = LoadTime()


class Memory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Bytes on the device: of the weights, of each denoiser row, and of each picture that is decoded."""

    weights_bytes: int
    row_bytes: int = 0
    picture_bytes: int = 0


class Spread(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Standard deviation of times as a share of their mean."""

    step: float = 0.0
    encode: float = 0.0
    decode: float = 0.0
    load: float = 0.0


class LevelQuality(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The quality of pictures with so many steps, the first `first_step` of which an earlier picture replaces."""

    steps: int
    first_step: int = 0
    quality: float


class SimilarityQuality(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Quality by similarity, of pictures that skip `first_step` of `steps` steps."""

    steps: int
    first_step: int
    curve: Curve
