"""Folding a composition of LoRAs into a model's weights, and bringing the weights back bit by bit."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, Composition
from safelight.diffusion.lora.weights import LoraWeights, LowRank

_Layer = tuple[str, str]
"""A component, and the path of a layer in it."""

_Changes = Mapping[_Layer, Sequence[tuple[float, LowRank]]]
"""What is to be folded into each layer, and how much of it."""


class Merger:
    """Folds compositions into the weights of a model's networks, named by component.

    Every fold starts from the pristine weights, of which copies are kept for the layers that are changed at the time.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self._networks = networks
        self._pristine: dict[_Layer, Tensor] = {}
        self._changes: _Changes = {}
        self._folded = NO_ADAPTERS

    @property
    def folded(self) -> Composition:
        """What is in the weights."""
        return self._folded

    @property
    def pristine_bytes(self) -> int:
        """What the copies of pristine weights take."""
        return sum(weight.numel() * weight.element_size() for weight in self._pristine.values())

    @torch.inference_mode()
    def fold(self, composition: Composition, weights: Mapping[AdapterHandle, LoraWeights]) -> None:
        """Make the weights pristine plus `composition`, whose adapters are in `weights` by their handles.

        Sums are formed in float32 or better and cast once. If this fails, the weights are what they were before.
        """
        changes = _changes(composition, weights)
        try:
            self._write(changes)
        except BaseException:
            self._write(self._changes)
            raise
        self._changes, self._folded = changes, composition

    def restore(self) -> None:
        """Make the weights pristine."""
        self.fold(NO_ADAPTERS, {})

    def _write(self, changes: _Changes) -> None:
        for layer in self._pristine.keys() - changes.keys():
            self._weight(layer).copy_(self._pristine[layer])
            del self._pristine[layer]
        for layer, uses in changes.items():
            weight = self._weight(layer)
            if layer not in self._pristine:
                self._pristine[layer] = weight.clone()
            weight.copy_(self._pristine[layer] + _sum(uses, device=weight.device))

    def _weight(self, layer: _Layer) -> Tensor:
        component, path = layer
        return self._networks[component].get_parameter(f"{path}.weight")


def _changes(composition: Composition, weights: Mapping[AdapterHandle, LoraWeights]) -> _Changes:
    changes = defaultdict[_Layer, list[tuple[float, LowRank]]](list)
    for use in composition.uses:
        for component, part in weights[use.handle].parts.items():
            for path, change in part.items():
                changes[component, path].append((use.scale, change))
    return changes


def _sum(uses: Sequence[tuple[float, LowRank]], *, device: torch.device) -> Tensor:
    """Return one layer's whole change, in float32 or better."""
    return reduce(add, (scale * _delta(change, device) for scale, change in uses))


def _delta(change: LowRank, device: torch.device) -> Tensor:
    return LowRank(down=change.down.to(device), up=change.up.to(device), scale=change.scale).delta()
