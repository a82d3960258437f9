"""What the LoRAs of one batch add, row by row: numbers of pages and how much of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from safelight.core.adapter import AdapterHandle, Composition

PAGES_ALIGNED = 4
"""Rows have a multiple of so many pages, so that shapes seldom change from batch to batch."""

GATHERED_BYTES = 256 << 20
"""What one batch may keep gathered: all that the embedded models need, and part of what a large model does."""

Factors = tuple[Tensor, Tensor]
"""Of one layer and batch: the pages of every row, down and up, the latter times how much of each there is."""


class Gathered:
    """Factors by layer, kept for the next call until they take `limit_bytes`."""

    def __init__(self, *, limit_bytes: int = GATHERED_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._kept: dict[object, Factors] = {}
        self.kept_bytes = 0

    def get(self, layer: object, gather: Callable[[], Factors]) -> Factors:
        """Return what `gather` returns for `layer`, or returned at an earlier call."""
        if layer in self._kept:
            return self._kept[layer]
        factors = gather()
        size_bytes = sum(factor.numel() * factor.element_size() for factor in factors)
        if self.kept_bytes + size_bytes <= self._limit_bytes:
            self._kept[layer] = factors
            self.kept_bytes += size_bytes
        return factors


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """The low-rank terms of a batch, for as long as its rows and the pages of their adapters stay what they are.

    Attributes:
        batch_rows: how many rows the batch has.
        rows: (rows with terms), their places in the batch; `None` if all have terms.
        index: (rows with terms, pages), numbers of pages; page 0 adds nothing.
        scale: (rows with terms, pages), how much of each page, in float32.
        pages: of each adapter in the batch.
        touched: the layers that any of the adapters changes.
        gathered: what layers have gathered of these terms.
    """

    batch_rows: int
    rows: Tensor | None
    index: Tensor
    scale: Tensor
    pages: dict[AdapterHandle, tuple[int, ...]]
    touched: frozenset[object]
    gathered: Gathered = field(default_factory=Gathered)

    @property
    def is_empty(self) -> bool:
        return not self.touched


def corrections(compositions: Sequence[Composition], folded: Composition) -> tuple[Composition, ...]:
    """Return what each row still needs when `folded` is in the weights."""
    return tuple(composition - folded for composition in compositions)


def make_terms(
    compositions: Sequence[Composition],
    pages: dict[AdapterHandle, tuple[int, ...]],
    *,
    touched: frozenset[object],
    device: torch.device,
) -> Terms:
    """Lay out the terms of a batch whose adapters have these pages."""
    shares = [
        [(page, use.scale) for use in composition.uses for page in pages[use.handle]] for composition in compositions
    ]
    rows = [row for row, share in enumerate(shares) if share]
    widest = max(map(len, shares), default=0)
    width = -(-widest // PAGES_ALIGNED) * PAGES_ALIGNED
    padded = [shares[row] + [(0, 0.0)] * (width - len(shares[row])) for row in rows]
    return Terms(
        batch_rows=len(shares),
        rows=None if len(rows) == len(shares) else torch.tensor(rows, dtype=torch.long, device=device),
        index=torch.tensor([[page for page, _ in row] for row in padded], dtype=torch.long, device=device),
        scale=torch.tensor([[scale for _, scale in row] for row in padded], dtype=torch.float32, device=device),
        pages=pages,
        touched=touched,
    )
