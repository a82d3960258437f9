"""The LoRAs of one loaded model: beside its weights, row by row, or folded into them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from torch import nn

from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterSpec, Composition, composition_of
from safelight.diffusion.lora.bank import LoraBank
from safelight.diffusion.lora.merging import Merger
from safelight.diffusion.lora.reading import read_lora
from safelight.diffusion.lora.targets import Modules, lora_targets
from safelight.diffusion.lora.terms import corrections
from safelight.diffusion.lora.weights import LoraWeights

TERMS_KEPT = 2
"""Batches whose gathered factors are kept: the same rows meet again at their next tick."""


class ModelLoras:
    """LoRAs by handle; `denoiser` is the name of that network.

    What is folded in concerns the denoiser alone; prompts are encoded with LoRAs beside the text encoders.
    """

    def __init__(self, model: str, networks: Mapping[str, nn.Module], *, pages: int) -> None:
        self._model = model
        self._targets = {name: lora_targets(network) for name, network in networks.items()}
        self.denoiser = next(iter(networks))
        self._bank = LoraBank(networks, pages=pages)
        self._merger = Merger({self.denoiser: networks[self.denoiser]})
        self._on_denoiser: dict[AdapterHandle, LoraWeights] = {}
        self._touching_text: set[AdapterHandle] = set()
        self._terms = lru_cache(maxsize=TERMS_KEPT)(self._bank.terms)
        self.folded = NO_ADAPTERS

    @property
    def denoiser_targets(self) -> Modules:
        """The layers of the denoiser that a LoRA can change."""
        return self._targets[self.denoiser]

    def read(self, name: str, path: Path) -> tuple[AdapterSpec, LoraWeights]:
        """Read a LoRA for this model.

        Raises:
            AdapterFileError: if it is not one that fits.
        """
        weights = read_lora(path, self._targets)
        spec = AdapterSpec(
            name=name,
            kind="lora",
            model=self._model,
            weights_bytes=weights.weights_bytes,
            ranks=weights.ranks,
            parts=tuple(weights.parts),
        )
        return spec, weights

    def load(self, handle: AdapterHandle, weights: LoraWeights) -> None:
        """Put a LoRA into the bank."""
        self._bank.load(handle, weights)
        self._on_denoiser[handle] = LoraWeights(parts={self.denoiser: weights.parts.get(self.denoiser, {})})
        if weights.parts.keys() - {self.denoiser}:
            self._touching_text.add(handle)
        self._terms.cache_clear()

    def evict(self, handle: AdapterHandle) -> None:
        """Take a LoRA out of the bank, and out of the weights if it is folded in."""
        if handle in self.folded.handles:
            self.fold(NO_ADAPTERS)
        self._bank.evict(handle)
        del self._on_denoiser[handle]
        self._touching_text.discard(handle)
        self._terms.cache_clear()

    def fold(self, composition: Composition) -> None:
        """Have the denoiser's weights hold `composition` and nothing else."""
        if composition == self.folded:
            return
        self._merger.fold(composition, self._on_denoiser)
        self.folded = composition

    def on_text(self, composition: Composition) -> Composition:
        """Return the part of `composition` that changes how prompts are encoded."""
        return composition_of(use for use in composition.uses if use.handle in self._touching_text)

    @contextmanager
    def denoising(self, compositions: Sequence[Composition]) -> Iterator[None]:
        """Have the denoiser compute each row with its composition."""
        with self._beside(corrections(compositions, self.folded)):
            yield

    @contextmanager
    def encoding(self, compositions: Sequence[Composition]) -> Iterator[None]:
        """Have the text encoders compute each prompt with its composition."""
        with self._beside(tuple(compositions)):
            yield

    @contextmanager
    def _beside(self, compositions: tuple[Composition, ...]) -> Iterator[None]:
        if all(composition.is_empty for composition in compositions):
            yield
            return
        with self._bank.applied(self._terms(compositions)):
            yield
