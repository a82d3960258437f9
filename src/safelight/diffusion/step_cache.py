"""Steps whose prediction is taken over from an earlier step of the same row, because it would hardly differ."""

from typing import Final

from torch import Tensor

WARM_UP_STEPS: Final = 3
"""The first steps are always computed: they decide what the picture shows."""


class StepCache:
    """Decides for one row whether its next prediction is computed.

    The rate at which predictions change with the latents is measured where they are computed. At each later step it
    says how much the prediction has changed since, relative to its size; these changes add up. While their sum is below
    a tolerance, the difference of prediction and latents is taken over from the last computed step (EasyCache:
    Zhou et al., 2025, section 3). Both halves of guidance are taken over together, and rows share nothing.

    Attributes:
        was_reused: whether the prediction of the last step was taken over.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._steps = 0
        self._latents: Tensor | None = None
        self._prediction: Tensor | None = None
        self._computed: tuple[Tensor, Tensor] | None = None
        self._rate: float | None = None
        self._changed = 0.0
        self.was_reused = False

    def reused(self, latents: Tensor, *, is_last: bool) -> Tensor | None:
        """Return the prediction for `latents`, (channels, height, width), if it need not be computed."""
        self._steps += 1
        self.was_reused = False
        if is_last or self._steps <= WARM_UP_STEPS or self._rate is None:
            return None
        assert self._latents is not None
        assert self._prediction is not None
        assert self._computed is not None
        size = float(self._prediction.norm())
        moved = float((latents - self._latents).norm())
        self._changed += self._rate * moved / size if size else 0.0
        if self._changed >= self._tolerance:
            return None
        then, prediction = self._computed
        self.was_reused = True
        return self._keep(latents, latents + (prediction - then))

    def computed(self, latents: Tensor, prediction: Tensor) -> None:
        """Note a prediction that was computed for `latents`."""
        if self._computed is not None:
            then, before = self._computed
            moved = float((latents - then).norm())
            self._rate = float((prediction - before).norm()) / moved if moved else None
        self._computed = (latents, prediction)
        self._changed = 0.0
        self._keep(latents, prediction)

    def _keep(self, latents: Tensor, prediction: Tensor) -> Tensor:
        self._latents, self._prediction = latents, prediction
        return prediction
