"""The LoRAs that lie beside a model's weights, and how the rows of one batch each get their own.

A row's terms cost it rank times (in + out) for each place, whatever its neighbours carry (Sheng et al., S-LoRA, 2024).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from safelight.core.adapter import AdapterHandle, Composition
from safelight.core.errors import AdapterTooLarge
from safelight.diffusion.lora.paged_layer import Layer, PagedLayer
from safelight.diffusion.lora.terms import Terms, make_terms
from safelight.diffusion.lora.weights import LoraWeights


@dataclass(frozen=True, kw_only=True)
class _Resident:
    """An adapter in the bank: its pages, the same in each of its layers."""

    pages: tuple[int, ...]
    layers: frozenset[PagedLayer]


class LoraBank:
    """Adapters beside the weights of a model's networks, named by component.

    An adapter takes as many of the bank's pages as its largest rank, any that are free. A layer has no pages before
    an adapter touches it. While `applied` holds terms, every layer that they touch adds them to its output; the first
    dimension of what reaches it must be the rows of the batch.
    """

    def __init__(self, networks: Mapping[str, nn.Module], *, pages: int) -> None:
        self._networks = networks
        self._pages = pages
        self._free = list(range(1, 1 + pages))
        self._layers: dict[tuple[str, str], PagedLayer] = {}
        self._residents: dict[AdapterHandle, _Resident] = {}
        self._applied: Terms | None = None

    @property
    def weights_bytes(self) -> int:
        """What all pages take, also those that are free."""
        return sum(layer.weights_bytes for layer in self._layers.values())

    @property
    def free_pages(self) -> int:
        return len(self._free)

    @torch.inference_mode()
    def load(self, handle: AdapterHandle, weights: LoraWeights) -> None:
        """Bring an adapter in under a handle that is not in use.

        Raises:
            AdapterTooLarge: if there are too few free pages; then nothing has changed.
        """
        assert handle not in self._residents, f"{handle} is in the bank already"
        rank = max(weights.ranks)
        if rank > len(self._free):
            beside = " beside those that are loaded" if self._residents else ""
            raise AdapterTooLarge(handle.name, needs=f"rank {rank}", limit=f"rank {len(self._free)}{beside}")
        changes = [
            (self._layer(component, path), change)
            for component, part in weights.parts.items()
            for path, change in part.items()
        ]
        pages = tuple(self._free[:rank])
        for layer, change in changes:
            layer.write(pages, change)
        del self._free[:rank]
        self._residents[handle] = _Resident(pages=pages, layers=frozenset(layer for layer, _ in changes))

    @torch.inference_mode()
    def evict(self, handle: AdapterHandle) -> None:
        """Free the pages of an adapter."""
        resident = self._residents.pop(handle)
        for layer in resident.layers:
            layer.clear(resident.pages)
        self._free += resident.pages

    @torch.inference_mode()
    def terms(self, compositions: Sequence[Composition]) -> Terms:
        """Return what loaded adapters add to a batch whose rows have these compositions.

        They are good until one of their adapters is evicted, and best kept for as long as the rows are the same: what
        is gathered at the first call is used again at the next.
        """
        residents = {handle: self._residents[handle] for each in compositions for handle in each.handles}
        return make_terms(
            compositions,
            {handle: resident.pages for handle, resident in residents.items()},
            touched=frozenset[object]().union(*(resident.layers for resident in residents.values())),
            device=next(next(iter(self._networks.values())).parameters()).device,
        )

    @contextmanager
    def applied(self, terms: Terms) -> Iterator[None]:
        """Within this, calls of the networks are calls with `terms`."""
        stale = [str(handle) for handle, pages in terms.pages.items() if self._pages_of(handle) is not pages]
        assert not stale, f"{stale} have been evicted since the terms were made"
        self._applied = None if terms.is_empty else terms
        try:
            yield
        finally:
            self._applied = None

    def _pages_of(self, handle: AdapterHandle) -> tuple[int, ...] | None:
        resident = self._residents.get(handle)
        return None if resident is None else resident.pages

    def _layer(self, component: str, path: str) -> PagedLayer:
        place = component, path
        if place not in self._layers:
            module = self._networks[component].get_submodule(path)
            assert isinstance(module, Layer), f"{path!r} of the {component} is neither a linear layer nor a convolution"
            layer = PagedLayer(module, pages=self._pages)
            module.register_forward_hook(partial(self._add, layer))
            self._layers[place] = layer
        return self._layers[place]

    def _add(self, layer: PagedLayer, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if self._applied is None or layer not in self._applied.touched:
            return None
        return layer.add(inputs[0], output, self._applied)
