"""How long a model takes, as it was measured when it was loaded and as it has shown since."""

from typing import Final

from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.profiles.curve import StepCurve

LEARNING_RATE: Final = 0.1
"""Weight of one observed tick in the running average."""

SURPRISE_LIMIT: Final = 4.0
"""One observed tick counts as at most so many times faster or slower than expected."""

LEAST_PACE: Final = 1e-3
"""No model is believed to be faster than its measurement by more than the inverse of this."""


class ModelProfile:
    """The speed of one model on one device.

    Time is what was measured at load, in proportion to pixels, times a learned pace for each picture size:
    1 is as measured, 2 is half as fast.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._curve = StepCurve(spec.step_times)
        self._own_size = (spec.width, spec.height)
        self._paces: dict[tuple[int, int], float] = {}

    @classmethod
    def from_spec(cls, spec: ModelSpec) -> "ModelProfile":
        """Return the profile of a model as its worker describes it."""
        return cls(spec)

    @property
    def spec(self) -> ModelSpec:
        """What the worker said about the model."""
        return self._spec

    @property
    def encode_s(self) -> float:
        """Seconds of encoding one prompt."""
        return self._spec.encode_s

    @property
    def decode_s(self) -> float:
        """Seconds of decoding one picture of the model's own size."""
        return self._spec.decode_s

    def decoding_s(self, *, width: int, height: int) -> float:
        """Return the seconds of decoding one picture of this size in pixels."""
        return self._spec.decode_s * self._scale((width, height))

    def tick_s(self, denoiser_rows: int, *, width: int | None = None, height: int | None = None) -> float:
        """Return the seconds of one denoiser call over so many rows, at the model's own size unless told."""
        size = self._size(width, height)
        return self._measured_s(denoiser_rows, size) * self._pace(size)

    def service_s(self, request: ImageRequest, *, beside_rows: int = 0) -> float:
        """Return the seconds from encoding to decoding of `request` when `beside_rows` other rows share each tick."""
        size = (request.width, request.height)
        tick_s = self._measured_s(request.denoiser_rows + beside_rows, size) * self._pace(size)
        return (
            self.encode_s + request.steps_to_run * tick_s + self.decoding_s(width=request.width, height=request.height)
        )

    def best_service_s(self, request: ImageRequest) -> float:
        """Return the seconds of `request` alone, at the measured or the learned pace, whichever is faster.

        A pace learned under load may be too dark for a device that has come to rest since.
        """
        pace = self._pace((request.width, request.height))
        still_s = self.encode_s + self.decoding_s(width=request.width, height=request.height)
        return still_s + (self.service_s(request) - still_s) * min(1.0, 1.0 / pace)

    def observe(
        self, denoiser_rows: int, seconds: float, *, width: int | None = None, height: int | None = None
    ) -> None:
        """Learn that one denoiser call over so many rows has taken `seconds`."""
        size = self._size(width, height)
        measured_s = self._measured_s(denoiser_rows, size)
        if measured_s <= 0:
            return
        pace = self._pace(size)
        shown = min(max(seconds / measured_s, pace / SURPRISE_LIMIT), pace * SURPRISE_LIMIT)
        self._paces[size] = max(LEAST_PACE, pace + LEARNING_RATE * (shown - pace))

    def _size(self, width: int | None, height: int | None) -> tuple[int, int]:
        return (width or self._spec.width, height or self._spec.height)

    def _scale(self, size: tuple[int, int]) -> float:
        return (size[0] * size[1]) / (self._spec.width * self._spec.height)

    def _measured_s(self, denoiser_rows: int, size: tuple[int, int]) -> float:
        return self._curve.seconds(denoiser_rows) * self._scale(size)

    def _pace(self, size: tuple[int, int]) -> float:
        pace = self._paces.get(size)
        return self._paces.get(self._own_size, 1.0) if pace is None else pace
