"""A router: predicts from the prompt alone whether a light picture will be good enough (HADIS, arXiv 2509.00642)."""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32]

NEVER: Final = 2.0
"""A threshold that no prompt reaches."""

BUCKETS: Final = 2048
"""How many places words and pairs of neighbouring words are hashed to by default."""

_EVEN: Final = ((0.0, 1.0), (1.0, 0.0))
"""Prompts of which as many are of any hardness as of any other."""

_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True, eq=False)
class Router:
    """A network with one hidden layer over hashed words and word pairs (Weinberger et al., ICML 2009).

    Attributes:
        embedding: of shape (buckets, hidden).
        hidden_bias, output: of shape (hidden,).
        output_bias: makes hard prompts positive, before `temperature`.
        temperature: divides what the network says, so that its probabilities are calibrated.
        threshold: a prompt of at least this hardness goes to the heavy model at once; above 1, none does.
        shares: pairs of a hardness and the share of prompts that are at least so hard, as measured: hardness rises.

    Raises:
        ValueError: if the arrays do not fit each other, or are not finite.
    """

    embedding: Numbers
    hidden_bias: Numbers
    output: Numbers
    output_bias: float = 0.0
    temperature: float = 1.0
    threshold: float = NEVER
    shares: tuple[tuple[float, float], ...] = _EVEN

    def __post_init__(self) -> None:
        if self.embedding.ndim != 2 or not self.embedding.size:
            raise ValueError(f"the router's embedding has the shape {self.embedding.shape}, not (buckets, hidden)")
        width = (self.embedding.shape[1],)
        if self.hidden_bias.shape != width or self.output.shape != width:
            raise ValueError(f"the router's layers have {self.hidden_bias.shape} and {self.output.shape}, not {width}")
        arrays = (self.embedding, self.hidden_bias, self.output)
        if not all(np.isfinite(array).all() for array in arrays) or not math.isfinite(self.output_bias):
            raise ValueError("the router's weights are not finite")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"the router's temperature is {self.temperature}, not above 0")
        for (hardness, share), (harder, fewer) in pairwise(self.shares):
            if not (0 <= hardness < harder <= 1 and 1 >= share >= fewer >= 0):
                raise ValueError("the router's shares must fall from 1 to 0 while the hardness rises from 0 to 1")

    @property
    def buckets(self) -> int:
        return int(self.embedding.shape[0])

    def hardness(self, prompt: str) -> float:
        """Return the calibrated probability that the light model's picture will not be good enough, from 0 to 1."""
        places = places_of(prompt, self.buckets)
        summed = self.embedding[list(places)].sum(axis=0) / math.sqrt(max(1, len(places)))
        hidden = np.maximum(summed + self.hidden_bias, 0.0)
        logit = (float(hidden @ self.output) + self.output_bias) / self.temperature
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit))))

    def share(self, threshold: float) -> float:
        """Return the share of prompts that are at least so hard."""
        if threshold > 1:
            return 0.0
        hardness, shares = zip(*self.shares, strict=True)
        return float(np.interp(threshold, hardness, shares))

    def threshold_within(self, share: float) -> float:
        """Return the least hardness that at most the share `share` of prompts has; above 1 if no prompt may have it."""
        if share <= 0:
            return NEVER
        hardness, shares = zip(*reversed(self.shares), strict=True)
        return float(np.interp(share, shares, hardness))

    def arrays(self) -> dict[str, Numbers]:
        """Return the router as named arrays, for a safetensors file."""
        scalars = (self.output_bias, self.temperature, self.threshold)
        return {
            "router.embedding": self.embedding,
            "router.hidden_bias": self.hidden_bias,
            "router.output": self.output,
            "router.scalars": np.array(scalars, dtype=np.float32),
            "router.shares": np.array(self.shares, dtype=np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "Router | None":
        """Return the router among named arrays, or None if there is none; ValueError if it is incomplete."""
        if "router.embedding" not in arrays:
            return None
        missing = {"router.hidden_bias", "router.output", "router.scalars"} - arrays.keys()
        if missing:
            raise ValueError(f"the router lacks {min(missing)!r}")
        scalars = arrays["router.scalars"]
        if scalars.shape != (3,):
            raise ValueError(f"the router's scalars have the shape {scalars.shape}, not (3,)")
        shares = arrays.get("router.shares", np.array(_EVEN, dtype=np.float32))
        if shares.ndim != 2 or shares.shape[1:] != (2,) or len(shares) < 2:
            raise ValueError(f"the router's shares have the shape {shares.shape}, not (points, 2)")
        return cls(
            embedding=arrays["router.embedding"].astype(np.float32),
            hidden_bias=arrays["router.hidden_bias"].astype(np.float32),
            output=arrays["router.output"].astype(np.float32),
            output_bias=float(scalars[0]),
            temperature=float(scalars[1]),
            threshold=float(scalars[2]),
            shares=tuple((float(hardness), float(share)) for hardness, share in shares),
        )


def places_of(prompt: str, buckets: int = BUCKETS) -> tuple[int, ...]:
    """Return the places of the words of a prompt and of its pairs of neighbouring words, the same in any process."""
    words = _WORD.findall(prompt.casefold())
    pairs = (f"{first} {second}" for first, second in pairwise(words))
    return tuple(_hashed(text) % buckets for text in (*words, *pairs))


@lru_cache(maxsize=1 << 14)
def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
