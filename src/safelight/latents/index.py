"""Indexes of normalized vectors: which entry has the highest cosine."""

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from safelight.latents.vectors import NUMBERS, Vector

FIRST_CAPACITY: Final = 64
FEW_NUMBERS: Final = 96
"""Up to so many of a query's numbers that are not 0, only these are read of the entries."""


class VectorIndex(Protocol):
    """Vectors by name."""

    def __len__(self) -> int: ...

    def add(self, name: str, vector: Vector) -> None:
        """Add a vector under a name that is not in use."""
        ...

    def remove(self, name: str) -> None:
        """Remove a vector; unknown names are ignored."""
        ...

    def search(self, vector: Vector, most: int) -> list[tuple[str, float]]:
        """Return the `most` nearest names with their cosines, highest first; equal ones in order of their names."""
        ...


class ExactIndex:
    """Compares with every vector, by numpy.

    Vectors lie in columns, so that a query with few numbers that are not 0, which prompts give, reads few rows of
    memory: the cosines are the same.
    """

    def __init__(self) -> None:
        self._columns: NDArray[np.float32] = np.zeros((NUMBERS, FIRST_CAPACITY), dtype=np.float32)
        self._names: list[str] = []
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[tuple[str, Vector]]:
        for place, name in enumerate(self._names):
            yield name, self._columns[:, place].copy()

    def add(self, name: str, vector: Vector) -> None:
        assert name not in self._places
        place = len(self._names)
        if place == self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)], axis=1)
        self._columns[:, place] = vector
        self._names.append(name)
        self._places[name] = place

    def remove(self, name: str) -> None:
        place = self._places.pop(name, None)
        if place is None:
            return
        last = self._names.pop()
        if last != name:
            self._names[place] = last
            self._places[last] = place
            self._columns[:, place] = self._columns[:, len(self._names)]

    def search(self, vector: Vector, most: int) -> list[tuple[str, float]]:
        count = len(self._names)
        if not count:
            return []
        cosines = self._cosines(vector, count)
        kept = np.arange(count) if count <= most else np.argpartition(cosines, count - most)[count - most :]
        found = [(self._names[place], float(cosines[place])) for place in kept.tolist()]
        return sorted(found, key=lambda each: (-each[1], each[0]))

    def _cosines(self, vector: Vector, count: int) -> NDArray[np.float32]:
        (places,) = np.nonzero(vector)
        if len(places) > FEW_NUMBERS:
            return vector @ self._columns[:, :count]
        cosines = np.zeros(count, dtype=np.float32)
        part = np.empty(count, dtype=np.float32)
        for place in places.tolist():
            np.multiply(self._columns[place, :count], vector[place], out=part)
            cosines += part
        return cosines
