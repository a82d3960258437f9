"""Prompts as vectors of 512 numbers, by the hashing trick (Weinberger et al., ICML 2009)."""

import hashlib
import math
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from safelight.latents.words import folded_words, word_set

NUMBERS: Final = 512

PLACES: Final = 2
"""How many numbers a word or a pair of words changes; two make collisions of whole words rare."""

PAIR_WEIGHT: Final = 0.5
COMMON_WEIGHT: Final = 0.2

COMMON: Final = word_set("a an the of on in at to and with is are by for from it its this that")
"""Words that say little about a picture; relations and negations are compared by the veto rules."""

Vector = NDArray[np.float32]


def vector_of(prompt: str) -> Vector:
    """Return the normalized vector of a prompt, of shape (512,); zeros for a prompt without words.

    Words and pairs of neighbouring words are hashed to places with signs. The same text gives the same vector in any
    process.
    """
    words = folded_words(prompt)
    vector = np.zeros(NUMBERS, dtype=np.float32)
    for word in words:
        _add(vector, word, _weight(word))
    for first, second in pairwise(words):
        _add(vector, f"{first} {second}", PAIR_WEIGHT * math.sqrt(_weight(first) * _weight(second)))
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector


def similarity(first: Vector, second: Vector) -> float:
    """Return the cosine of two normalized vectors."""
    return float(first @ second)


def _weight(word: str) -> float:
    return COMMON_WEIGHT if word in COMMON else 1.0


def _add(vector: Vector, text: str, weight: float) -> None:
    for place, sign in _places(text):
        vector[place] += sign * weight


@lru_cache(maxsize=1 << 16)
def _places(text: str) -> tuple[tuple[int, float], ...]:
    digest = hashlib.blake2b(text.encode(), digest_size=3 * PLACES).digest()
    numbers = [int.from_bytes(digest[3 * each : 3 * each + 3]) for each in range(PLACES)]
    return tuple((number % NUMBERS, 1.0 if number // NUMBERS % 2 else -1.0) for number in numbers)
