"""Seconds of one denoiser call as a function of its rows and of the pixels of a picture."""

from bisect import bisect_left
from collections.abc import Sequence

from safelight.core.errors import ProfileError
from safelight.profiles.curve import StepCurve
from safelight.profiles.parts import SizeTimes


class StepGrid:
    """A surface through measured step times: linear in rows at each size, and linear in pixels between sizes.

    Sizes of equal pixels count as one; the first of them is taken. A time below that of a smaller size is noise and is
    raised to it, so that more pixels never take less time.
    """

    def __init__(self, sizes: Sequence[SizeTimes], *, model: str, what: str = "call") -> None:
        by_pixels = {size.width * size.height: size for size in reversed(sizes)}
        self._pixels = sorted(by_pixels)
        self._sizes = [by_pixels[pixels] for pixels in self._pixels]
        self._curves = [StepCurve(size.step_times) for size in self._sizes]
        self._model = model
        self._what = what

    def seconds(self, denoiser_rows: int, *, width: int, height: int, extrapolates: bool = False) -> float:
        """Return the seconds of one call.

        Beyond the measured sizes, time is in proportion to pixels; beyond the measured rows, see `StepCurve`.

        Raises:
            ProfileError: beyond the measured ones, unless `extrapolates`.
        """
        pixels = width * height
        places, is_between = self._around(pixels)
        if not extrapolates and not (is_between and all(self._covers(place, denoiser_rows) for place in places)):
            raise self._unmeasured(denoiser_rows, width, height)
        left, right = places[0], places[-1]
        low = self._at(left, denoiser_rows)
        if left == right:
            return low * pixels / self._pixels[left]
        share = (pixels - self._pixels[left]) / (self._pixels[right] - self._pixels[left])
        return low + share * (self._at(right, denoiser_rows) - low)

    def _at(self, place: int, denoiser_rows: int) -> float:
        """Return the seconds at a measured size: at least those of smaller sizes that have so many rows."""
        smaller = [each for each in range(place) if self._covers(each, denoiser_rows)]
        return max(self._curves[each].seconds(denoiser_rows) for each in (*smaller, place))

    def _around(self, pixels: int) -> tuple[tuple[int, ...], bool]:
        """Return the nearest measured sizes, one or two, and whether `pixels` are between them."""
        right = bisect_left(self._pixels, pixels)
        if right == len(self._pixels):
            return (right - 1,), False
        if self._pixels[right] == pixels:
            return (right,), True
        return ((right - 1, right), True) if right else ((0,), False)

    def _unmeasured(self, denoiser_rows: int, width: int, height: int) -> ProfileError:
        measured = "; ".join(
            f"{times[0]} to {times[-1]} rows of {size.width}x{size.height}"
            for size in self._sizes
            if (times := sorted(time.denoiser_rows for time in size.step_times))
        )
        return ProfileError(
            f"{self._model!r} has no measured {self._what} of {denoiser_rows} rows of {width}x{height}; measured are "
            f"{measured}. Measure it, or let the profile extrapolate (`extrapolates = true`)."
        )

    def _covers(self, place: int, denoiser_rows: int) -> bool:
        rows = [time.denoiser_rows for time in self._sizes[place].step_times]
        return min(rows) <= denoiser_rows <= max(rows)
