"""The protocol between the worker's loop and the engine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from safelight.core.adapter import AdapterHandle, AdapterSpec, Composition
from safelight.core.gate_scorer import GateScorer
from safelight.core.job import Job, PausedRow
from safelight.core.model import ModelSpec
from safelight.core.pixels import Pixels
from safelight.core.source import LatentsHandle
from safelight.core.work import Captured


class Engine(Protocol):
    """Denoises rows step by step; it decides nothing."""

    @property
    def gates(self) -> Sequence[GateScorer]:
        """The gates that are loaded."""
        ...

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """The models that are loaded."""
        ...

    def begin(self, jobs: Sequence[Job]) -> None:
        """Encode the prompts of `jobs`, all of one model, and begin a row for each.

        Raises:
            LatentsFileError: if a job starts from latents that are not here.
        """
        ...

    def resume(self, job: Job) -> None:
        """Begin a row from the paused state of the same job."""
        ...

    def pause(self, request_id: str) -> PausedRow:
        """Free a row, and return the state from which another worker can resume it."""
        ...

    def equip(self, jobs: Sequence[Job]) -> None:
        """Add the LoRAs of `jobs` to rows of one model that began without them, from the next step on.

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

    def reused_step(self, request_id: str) -> bool:
        """Return whether the last step of a row took over the prediction of an earlier one."""
        ...

    def preview(self, request_id: str) -> Pixels:
        """Return a small picture of the row's current estimate."""
        ...

    def captured(self, request_id: str) -> Captured | None:
        """Capture the row's estimate if its last step was the first at one of the noise levels in `Level.captures`.

        It stays when the row is gone, until `drop_latents`.
        """
        ...

    def latents(self, handle: LatentsHandle) -> bytes:
        """Return captured latents as a latents file; the engine keeps them."""
        ...

    def put_latents(self, handle: LatentsHandle, file: bytes) -> None:
        """Keep latents that another worker has captured.

        Raises:
            LatentsFileError: if the file cannot be used.
        """
        ...

    def drop_latents(self, handle: LatentsHandle) -> None:
        """Free captured latents."""
        ...

    def knew_prompt(self, request_id: str) -> bool:
        """Return whether the prompt of a row had been encoded before, so that this was not done again."""
        ...

    def prompt_tokens(self, request_id: str) -> int:
        """Return how many tokens of the prompt the model read."""
        ...

    def finish(self, request_ids: Sequence[str]) -> list[Pixels]:
        """Decode rows that have run all their steps, and free them."""
        ...

    def drop(self, request_id: str) -> None:
        """Free a row; ids without a row are ignored."""
        ...

    def is_remote(self, path: Path) -> bool:
        """Whether another process reads the adapter, so that `read_adapter` may wait long."""
        ...

    def read_adapter(self, name: str, path: Path) -> tuple[AdapterSpec, Any]:
        """Read an adapter for one of the models, and return its spec and weights; safe in any thread.

        Raises:
            AdapterFileError: if it cannot be used with any of them.
            ControlNetServiceLost: if the process that is to read it does not answer; it may later.
            ControlNetServiceEnded: if that process ends each time that it reads it.
        """
        ...

    def load_adapter(self, handle: AdapterHandle, weights: Any) -> None:  # noqa: ANN401 - the engine's own
        """Copy weights from `read_adapter` to their model's device; rows refer to them by `handle`."""
        ...

    def evict_adapter(self, handle: AdapterHandle) -> None:
        """Free weights that no row uses; if they are folded, unfold the whole composition."""
        ...

    def fold(self, model: str, composition: Composition) -> None:
        """Fold `composition`, and nothing else, into the model's weights; rows get the difference from it."""
        ...
