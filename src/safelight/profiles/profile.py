"""Measurements of one model on one device; they never change. `docs/profiles.md` describes the file format."""

import math
from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property
from typing import Final, Literal

import msgspec

from safelight.core.errors import ProfileError
from safelight.core.model import AdapterCosts, ModelSpec, StepTime
from safelight.profiles.batches import BatchTimes
from safelight.profiles.checks import check
from safelight.profiles.curve import StepCurve
from safelight.profiles.decoding import decoded
from safelight.profiles.grid import StepGrid
from safelight.profiles.lines import value_at, value_between
from safelight.profiles.parts import Curve, LevelQuality, LoadTimes, Memory, SimilarityQuality, SizeTimes, Spread

FORMAT: Final = 2
READ_FORMATS: Final = (1, 2)
"""A file of format 1 has fewer keys."""

_WRITTEN: Final = {"format": None, "extrapolates": None}
"""Keys that are written though they have their default values."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Measured seconds, bytes and qualities of one model on one device.

    Attributes:
        model, device: the served name, and the device of the measurement.
        source: where the figures come from.
        width, height: the model's own size in pixels, which figures without a size of their own are for.
        step_times: seconds of one denoiser call by rows.
        encode_s, decode_s: seconds of encoding one prompt, and of decoding one picture.
        encode_picture_s: seconds of encoding one start picture; None if that was not measured.
        encode_batch, decode_batch: seconds of encoding so many prompts, or decoding so many pictures, in one call;
            without them, each takes as long as alone.
        sizes: the same for other sizes.
        mixes_sizes: whether pictures of different sizes can share a denoiser call.
        extrapolates: whether times beyond the measured rows and sizes are estimated; otherwise they are errors.
        controlnet_times: further seconds of a call by rows that one ControlNet steers.
        adapter_costs: of LoRAs; None for a model that takes none.
        restore_s: seconds of unfolding a composition; None takes `adapter_costs.switch_s`.
        loads: of the weights of adapters; `model_loads` of the model's own.
        memory: in bytes; None if it is not known.
        spread: of the times.
        quality: of levels, on the scale that `quality_metric` names.
        mix_quality: quality by the share of pictures that the light model of a cascade makes; this is the light model.
        deferral: share of pictures that a gate escalates by its threshold; this is the light model.
        similarity: quality by the similarity of the prompt whose latents a picture starts from.
    """

    format: Literal[2] = FORMAT
    model: str
    device: str = ""
    source: str = ""
    width: int
    height: int
    step_times: tuple[StepTime, ...]
    encode_s: float
    decode_s: float
    encode_picture_s: float | None = None
    encode_batch: Curve = ()
    decode_batch: Curve = ()
    sizes: tuple[SizeTimes, ...] = ()
    mixes_sizes: bool = False
    extrapolates: bool = True
    controlnet_times: tuple[StepTime, ...] = ()
    adapter_costs: AdapterCosts | None = None
    restore_s: float | None = None
    loads: LoadTimes = LoadTimes()
    model_loads: LoadTimes = LoadTimes()
    memory: Memory | None = None
    spread: Spread = Spread()
    quality_metric: str = ""
    quality: tuple[LevelQuality, ...] = ()
    mix_quality: Curve = ()
    deferral: Curve = ()
    similarity: tuple[SimilarityQuality, ...] = ()

    @classmethod
    def from_spec(cls, spec: ModelSpec) -> "Profile":
        """Return the measurements that a worker made when it loaded the model; other sizes and rows are estimated."""
        return cls(
            model=spec.name,
            width=spec.width,
            height=spec.height,
            step_times=spec.step_times,
            encode_s=spec.encode_s,
            decode_s=spec.decode_s,
            encode_picture_s=spec.encode_picture_s,
            adapter_costs=spec.adapter_costs,
            mixes_sizes=spec.mixes_sizes,
        )

    @classmethod
    def from_toml(cls, text: str) -> "Profile":
        """Return the profile of a file; one that does not say so does not extrapolate.

        Raises:
            ProfileError: if the text is not TOML, lacks a key, has an unknown one or a value that cannot be.
        """
        profile = decoded(text, cls, formats=READ_FORMATS, latest=FORMAT)
        check(profile)
        return profile

    def to_toml(self) -> str:
        """Return the profile as text."""
        defaults = {field.name: field.default for field in msgspec.structs.fields(self)} | _WRITTEN
        values = msgspec.to_builtins(self)
        return msgspec.toml.encode(
            {name: values[name] for name in defaults if getattr(self, name) != defaults[name]}
        ).decode()

    @cached_property
    def curve(self) -> StepCurve:
        """Seconds of one denoiser call by rows, at the size that was measured."""
        return StepCurve(self.step_times)

    @cached_property
    def grid(self) -> StepGrid:
        """Seconds of one denoiser call by rows and pixels, as far as they were measured."""
        own = SizeTimes(width=self.width, height=self.height, step_times=self.step_times)
        return StepGrid((own, *self.sizes), model=self.model)

    @cached_property
    def _ticks(self) -> dict[tuple[int, int], float]:
        return {}

    def scale(self, width: int, height: int) -> float:
        """Return the ratio of a picture's pixels to those of the measured size."""
        return (width * height) / (self.width * self.height)

    def tick_s(self, denoiser_rows: int, *, width: int, height: int) -> float:
        """Return the seconds of one denoiser call over `denoiser_rows` rows of this size in pixels.

        Raises:
            ProfileError: for rows or a size beyond the measured ones, unless the profile extrapolates.
        """
        if self.extrapolates and not self.sizes:
            return self.curve.seconds(denoiser_rows) * self.scale(width, height)
        pixels = width * height
        known = self._ticks.get((denoiser_rows, pixels))
        if known is None:
            known = self.grid.seconds(denoiser_rows, width=width, height=height, extrapolates=self.extrapolates)
            self._ticks[denoiser_rows, pixels] = known
        return known

    def mixed_s(self, parts: Iterable[tuple[int, int, int]]) -> float:
        """Return the seconds of one call over rows of several sizes; each part is width, height and rows.

        A call takes as long as one of as many pixels at the model's own size.
        """
        own_rows = math.ceil(sum(self.scale(width, height) * rows for width, height, rows in parts))
        return self.curve.seconds(max(1, own_rows))

    def controlnet_s(self, denoiser_rows: int, *, width: int, height: int) -> float:
        """Return the seconds that one ControlNet over so many rows adds to a call.

        Raises:
            ProfileError: if it was not measured, or not for so many rows of this size, unless the profile extrapolates.
        """
        if not denoiser_rows:
            return 0.0
        if self._controlnet_grid is not None:
            return self._controlnet_grid.seconds(
                denoiser_rows, width=width, height=height, extrapolates=self.extrapolates
            )
        if self.extrapolates:
            return 0.0
        raise ProfileError(f"{self.model!r} has no measured ControlNet (`controlnet_times`). Measure it")

    @cached_property
    def has_controlnet_times(self) -> bool:
        """Whether a ControlNet was measured, at any size."""
        return self._controlnet_grid is not None

    @cached_property
    def _controlnet_grid(self) -> StepGrid | None:
        own = SizeTimes(width=self.width, height=self.height, step_times=self.controlnet_times)
        others = (msgspec.structs.replace(size, step_times=size.controlnet_times) for size in self.sizes)
        known = [size for size in (own, *others) if size.step_times]
        return StepGrid(known, model=self.model, what="ControlNet in a call") if known else None

    def decoding_s(self, *, width: int, height: int, pictures: int = 1) -> float:
        """Return the seconds of decoding pictures of this size in one call; raises ProfileError as `tick_s`."""
        if self.extrapolates and not self.sizes:
            alone_s = self.decode_s * self.scale(width, height)
        else:
            alone_s = self._between("decode_s", self.decode_s, width, height)
        return alone_s if pictures == 1 else alone_s * self._decoding.seconds(pictures) / self._decoding.seconds(1)

    def prompts_s(self, prompts: int) -> float:
        """Return the seconds of encoding so many prompts in one call."""
        return self.encode_s if prompts == 1 else self._encoding.seconds(prompts)

    @cached_property
    def _encoding(self) -> BatchTimes:
        return BatchTimes(self.encode_batch, alone_s=self.encode_s)

    @cached_property
    def _decoding(self) -> BatchTimes:
        return BatchTimes(self.decode_batch, alone_s=self.decode_s or 1.0)

    def encoding_s(self, *, width: int, height: int, has_source: bool) -> float:
        """Return the seconds before a picture's first step: its prompt, and the picture that it starts from.

        Raises:
            ProfileError: as `tick_s`, for a start picture.
        """
        if not has_source:
            return self.encode_s
        return self.encode_s + self.start_picture_s(width=width, height=height)

    def start_picture_s(self, *, width: int, height: int) -> float:
        """Return the seconds of encoding one start picture of this size; raises ProfileError as `tick_s`."""
        if self.encode_picture_s is None:
            if self.extrapolates:
                return 0.0
            raise ProfileError(f"{self.model!r} has no measured start picture (`encode_picture_s`). Measure it")
        if self.extrapolates and not self.sizes:
            return self.encode_picture_s * self.scale(width, height)
        return self._between("encode_picture_s", self.encode_picture_s, width, height)

    def _between(self, name: str, own_s: float, width: int, height: int) -> float:
        """Return seconds on the line through those of the measured sizes, by pixels."""
        pixels, own_pixels = width * height, self.width * self.height
        points = {each.width * each.height: getattr(each, name) for each in self.sizes}
        points = {size: seconds for size, seconds in points.items() if seconds is not None} | {own_pixels: own_s}
        known = sorted(points)
        if pixels in points:
            return float(points[pixels])
        right = bisect_left(known, pixels)
        if 0 < right < len(known):
            low, high = known[right - 1], known[right]
            share = (pixels - low) / (high - low)
            return float(points[low] + share * (points[high] - points[low]))
        if not self.extrapolates:
            raise ProfileError(
                f"{self.model!r} has no measured `{name}` at {width}x{height}; measured are {known[0]:,} to "
                f"{known[-1]:,} pixels. Measure it, or let the profile extrapolate (`extrapolates = true`)."
            )
        nearest = known[min(right, len(known) - 1)]
        return float(points[nearest] * pixels / nearest)

    def quality_of(self, *, steps: int, first_step: int = 0) -> float | None:
        """Return the quality of pictures of a level; None if it is not known.

        Between measured levels it is linear: in the steps of whole runs, and in the first step of those of equal steps.
        """
        by_first_step = [(each.first_step, each.quality) for each in self.quality if each.steps == steps]
        found = value_between(by_first_step, first_step)
        if found is None and not first_step:
            return value_between([(each.steps, each.quality) for each in self.quality if not each.first_step], steps)
        return found

    def quality_from(self, similarity: float, *, steps: int, first_step: int) -> float | None:
        """Return the quality of pictures that start from one of a prompt of this similarity; None if it is not known.

        Between measured first steps it is linear. Beyond the measured similarities it is that of the nearest one.
        """
        points = [
            (each.first_step, value_at(each.curve, similarity)) for each in self.similarity if each.steps == steps
        ]
        whole = self.quality_of(steps=steps)
        return value_between(points if whole is None else [(0, whole), *points], first_step)
