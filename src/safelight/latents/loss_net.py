"""Predicts what a level loses, from the prompt and its neighbour: a small network, in numpy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from safelight.latents.vectors import NUMBERS, vector_of
from safelight.latents.veto import RULES
from safelight.latents.words import folded_words

Numbers = NDArray[np.float32]

INPUTS: Final = NUMBERS + 2 + len(RULES)
"""The prompt's vector, logarithms of how many words were added and left out, and which veto rules would speak."""

KINDS: Final = 2
"""A start from an estimate, and fewer steps."""

SHAPES: Final[Mapping[str, tuple[int | str, ...]]] = {
    "inputs": (INPUTS, "hidden"),
    "bias": ("hidden",),
    "level": (KINDS, "hidden"),
    "level_bias": (KINDS,),
    "slope": (KINDS, "hidden"),
    "slope_bias": (KINDS,),
    "similarity": (1,),
}
"""The arrays of a network."""


def inputs_of(prompt: str, earlier: str) -> Numbers:
    """Return what the network reads of a prompt and an earlier one, of shape `(INPUTS,)`."""
    own, others = set(folded_words(prompt)), set(folded_words(earlier))
    changed = (math.log1p(len(own - others)), math.log1p(len(others - own)))
    rules = (float(terms(prompt) != terms(earlier)) for _, terms in RULES)
    return np.concatenate([vector_of(prompt), np.array([*changed, *rules], dtype=np.float32)])


@dataclass(frozen=True, kw_only=True, eq=False)
class LossNet:
    """A network with one hidden layer; deeper levels never lose less, and nearer neighbours never lose more.

    Attributes:
        arrays: of the shapes in `SHAPES`. `slope` and `similarity` pass through softplus.

    Raises:
        ValueError: if an array is missing, has another shape, or is not finite.
    """

    arrays: Mapping[str, Numbers]

    def __post_init__(self) -> None:
        hidden = self.arrays["bias"].shape[0] if self.arrays.get("bias", np.empty(0)).ndim == 1 else 0
        for name, shape in SHAPES.items():
            array = self.arrays.get(name)
            expected = tuple(hidden if size == "hidden" else size for size in shape)
            if array is None or array.shape != expected:
                raise ValueError(f"{name!r} is {'missing' if array is None else array.shape}, not {expected}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name!r} is not finite")

    def losses(self, inputs: Numbers, similarity: float, kinds: Sequence[int], depths: Sequence[float]) -> Numbers:
        """Return the expected loss of levels, from 0 to 1.

        Args:
            inputs: of `inputs_of`.
            similarity: cosine of both prompts.
            kinds: of each level: 0 for a start, 1 for fewer steps.
            depths: of each level, from 0 to 1: one less the noise level of a start, or the share of steps left out.
        """
        arrays = self.arrays
        hidden = np.maximum(inputs @ arrays["inputs"] + arrays["bias"], 0.0)
        level = arrays["level"] @ hidden + arrays["level_bias"]
        level[0] -= _softplus(arrays["similarity"])[0] * similarity
        slope = _softplus(arrays["slope"] @ hidden + arrays["slope_bias"])
        of_level = np.asarray(kinds, dtype=np.intp)
        logits = level[of_level] + slope[of_level] * np.asarray(depths, dtype=np.float32)
        losses: Numbers = 1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0)))
        return losses


def _softplus(values: Numbers) -> Numbers:
    softened: Numbers = np.logaddexp(0.0, values)
    return softened
