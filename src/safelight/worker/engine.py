"""The seam between the worker's loop and what paints."""

from collections.abc import Sequence
from typing import Protocol

from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.core.work import Pixels


class Engine(Protocol):
    """Paints rows step by step; it decides nothing."""

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """The models that are loaded."""
        ...

    def begin(self, requests: Sequence[ImageRequest]) -> None:
        """Encode the prompts of `requests`, all of one model, and give each a row of initial noise."""
        ...

    def step(self, request_ids: Sequence[str]) -> tuple[str, ...]:
        """Advance each row by one step in one denoiser call; all rows share model and size.

        Returns the ids of rows whose numbers are no longer finite; they are to be dropped.
        """
        ...

    def preview(self, request_id: str) -> Pixels:
        """Return a small picture of where the row is heading."""
        ...

    def prompt_tokens(self, request_id: str) -> int:
        """Return how many tokens of the prompt the model saw."""
        ...

    def finish(self, request_ids: Sequence[str]) -> list[Pixels]:
        """Decode rows that have all their steps, and free them."""
        ...

    def drop(self, request_id: str) -> None:
        """Free a row; ids without a row are ignored."""
        ...
