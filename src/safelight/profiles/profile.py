"""Measurements of one model on one device; they never change.

The file format is TOML with these keys:

| key | meaning |
| --- | --- |
| `format` | 1 |
| `model`, `device` | the served name, and the device of the measurement |
| `width`, `height` | size in pixels of the measured pictures |
| `step_times` | tables of `denoiser_rows` and `seconds` of one denoiser call |
| `encode_s`, `decode_s` | seconds of encoding one prompt, and of decoding one picture |
| `encode_picture_s` | seconds of encoding one start picture |
| `adapter_costs` | a table of `switch_s`, `unmerged_overhead` and `correction_overhead`; absent without LoRAs |
"""

from functools import cached_property
from typing import Final, Literal

import msgspec

from safelight.core.errors import ProfileError
from safelight.core.model import AdapterCosts, ModelSpec, StepTime
from safelight.profiles.curve import StepCurve

FORMAT: Final = 1


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Measured seconds of one model on one device; see this module for the meaning of the fields."""

    format: Literal[1] = FORMAT
    model: str
    device: str = ""
    width: int
    height: int
    step_times: tuple[StepTime, ...]
    encode_s: float
    decode_s: float
    encode_picture_s: float = 0.0
    adapter_costs: AdapterCosts | None = None

    @classmethod
    def from_spec(cls, spec: ModelSpec) -> "Profile":
        """Return the measurements that a worker made when it loaded the model."""
        return cls(
            model=spec.name,
            width=spec.width,
            height=spec.height,
            step_times=spec.step_times,
            encode_s=spec.encode_s,
            decode_s=spec.decode_s,
            encode_picture_s=spec.encode_picture_s,
            adapter_costs=spec.adapter_costs,
        )

    @classmethod
    def from_toml(cls, text: str) -> "Profile":
        """Return the profile that `to_toml` has written.

        Raises:
            ProfileError: if the text is not TOML, lacks a key, has an unknown one, or a value of the wrong type.
        """
        try:
            profile = msgspec.toml.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise ProfileError(str(error)) from error
        if not profile.step_times or min(profile.width, profile.height) < 1:
            raise ProfileError("It needs step_times and a size of at least one pixel")
        return profile

    def to_toml(self) -> str:
        """Return the profile as text."""
        fields = msgspec.to_builtins(self)
        return msgspec.toml.encode({name: value for name, value in fields.items() if value is not None}).decode()

    @cached_property
    def curve(self) -> StepCurve:
        """Seconds of one denoiser call by rows, at the size that was measured."""
        return StepCurve(self.step_times)

    def scale(self, width: int, height: int) -> float:
        """Return the ratio of a picture's pixels to those of the measured size."""
        return (width * height) / (self.width * self.height)

    def tick_s(self, denoiser_rows: int, *, width: int, height: int) -> float:
        """Return the seconds of one denoiser call over `denoiser_rows` rows of this size in pixels."""
        return self.curve.seconds(denoiser_rows) * self.scale(width, height)

    def decoding_s(self, *, width: int, height: int) -> float:
        """Return the seconds of decoding one picture of this size in pixels."""
        return self.decode_s * self.scale(width, height)

    def encoding_s(self, *, width: int, height: int, has_source: bool) -> float:
        """Return the seconds before a picture's first step: its prompt, and the picture that it starts from."""
        return self.encode_s + (self.encode_picture_s * self.scale(width, height) if has_source else 0.0)
