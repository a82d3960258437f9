"""The interface of readers of LoRA file formats."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from safelight.diffusion.lora.pairs import Pair
from safelight.diffusion.lora.source import Source
from safelight.diffusion.lora.targets import Targets


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One format: how it is recognised by its content, and where its factors are; both read headers only."""

    name: str
    recognises: Callable[[Source], bool]
    pairs: Callable[[Source, Targets], Sequence[Pair]]
