"""A request for one picture, and its result."""

from collections.abc import Callable
from dataclasses import dataclass

from safelight.core.quality import QualityProvenance

Body = dict[str, object]
"""A body of `POST /v1/images/generations`, or of `/v1/images/edits` if it has an image, without unset fields."""

Progress = Callable[[int, int], None]
"""Called with the steps done, and the total."""


@dataclass(frozen=True, kw_only=True)
class Painted:
    """A picture file and where it came from; `by` is a server's address, or `this machine`."""

    content: bytes
    by: str
    model: str
    steps: int
    steps_run: int
    steps_without_loras: int
    seed: int
    sampler: str
    seconds: float
    quality: QualityProvenance | None = None
