"""Conditionings of prompts that were encoded before."""

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from safelight.core.adapter import Composition
from safelight.diffusion.families.parts import Conditioning

PROMPT_CACHE_BYTES: Final = 64 << 20

PromptKey = tuple[str, str | None, Composition]
"""Tenant, text and the LoRAs of the text encoders. A tenant's prompts cost others the same as any new ones."""


class PromptCache:
    """The conditionings of one model that were used last, within a number of bytes of the model's device."""

    def __init__(self, max_bytes: int = PROMPT_CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[PromptKey, Conditioning] = OrderedDict()
        self.held_bytes = 0

    def get(self, key: PromptKey) -> Conditioning | None:
        """Return the conditioning of a prompt, if it is kept."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: PromptKey, conditioning: Conditioning) -> None:
        """Keep a conditioning, without the others of its batch; one that is larger than the cache is not kept."""
        size = _bytes_of(conditioning)
        if size > self._max_bytes or key in self._kept:
            return
        pooled = conditioning.pooled
        self._kept[key] = replace(
            conditioning, context=conditioning.context.clone(), pooled=None if pooled is None else pooled.clone()
        )
        self.held_bytes += size
        while self.held_bytes > self._max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self.held_bytes -= _bytes_of(dropped)


def _bytes_of(conditioning: Conditioning) -> int:
    pooled = conditioning.pooled
    return conditioning.context.nbytes + (0 if pooled is None else pooled.nbytes)
