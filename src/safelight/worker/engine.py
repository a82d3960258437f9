"""The seam between the worker's loop and what paints."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from safelight.core.adapter import AdapterSpec, Composition
from safelight.core.model import ModelSpec
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.work import Captured, PausedRow


class Engine(Protocol):
    """Paints rows step by step; it decides nothing."""

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """The models that are loaded."""
        ...

    def begin(self, requests: Sequence[ImageRequest]) -> None:
        """Encode the prompts of `requests`, all of one model, and give each a row of what it starts from."""
        ...

    def resume(self, request: ImageRequest, paused: PausedRow) -> None:
        """Begin a row where a row of the same request was paused."""
        ...

    def pause(self, request_id: str) -> PausedRow:
        """Free a row, and return all that it needs to go on elsewhere."""
        ...

    def equip(self, requests: Sequence[ImageRequest]) -> None:
        """Give rows of one model that began without LoRAs those of `requests`, from the next step on.

        Prompts are encoded anew where the LoRAs change how.
        """
        ...

    def step(self, request_ids: Sequence[str]) -> tuple[str, ...]:
        """Advance each row by one step in one denoiser call; all rows share model and size.

        Returns the ids of rows whose numbers are no longer finite; they are to be dropped.

        Raises:
            AdapterLost: if an adapter of some rows has become useless; then no row has moved.
        """
        ...

    def preview(self, request_id: str) -> Pixels:
        """Return a small picture of where the row is heading."""
        ...

    def captured(self, request_id: str) -> Captured | None:
        """Return the row's estimate, if its last step was the first at one of the levels that its request captures."""
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

    def is_remote(self, path: Path) -> bool:
        """Whether an adapter is read by another process, for which `read_adapter` may wait long."""
        ...

    def read_adapter(self, name: str, path: Path) -> tuple[AdapterSpec, Any]:
        """Read an adapter for one of the models, and return what it is with its weights; safe in any thread.

        Raises:
            AdapterFileError: if it cannot be used with any of them.
            ControlNetServiceLost: if the process that is to read it does not answer; it may later.
            ControlNetServiceEnded: if that process ends each time that it reads it.
        """
        ...

    def load_adapter(self, handle: str, weights: Any) -> None:  # noqa: ANN401 - the engine's own
        """Put weights that `read_adapter` gave beside their model; rows call them `handle`."""
        ...

    def evict_adapter(self, handle: str) -> None:
        """Let go of weights that no row uses; if they are folded in, nothing is from now on."""
        ...

    def fold(self, model: str, composition: Composition) -> None:
        """Have the model's weights hold `composition` of handles and nothing else; rows get what differs from it."""
        ...
