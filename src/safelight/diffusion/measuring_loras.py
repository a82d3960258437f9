"""Measuring what LoRAs cost a model when it is loaded: beside its weights, as corrections, and folding them in."""

from collections.abc import Sequence
from statistics import median
from time import perf_counter

import torch

from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterUse, Composition, composition_of
from safelight.core.model import AdapterCosts
from safelight.diffusion.families.family import Family
from safelight.diffusion.families.parts import Conditioning
from safelight.diffusion.lora.model_loras import ModelLoras
from safelight.diffusion.lora.weights import LoraWeights, LowRank
from safelight.diffusion.placement import Placement

DENOISER_ROWS = 8
RANK = 8
REPEATS = 3
PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
"""Ends of the names of layers that nearly every LoRA changes."""

HANDLES = AdapterHandle(name="first", generation=0), AdapterHandle(name="second", generation=0)
FIRST, SECOND = (composition_of([AdapterUse(handle=handle, scale=1.0)]) for handle in HANDLES)


def measure_adapter_costs(
    family: Family, loras: ModelLoras, placement: Placement, *, max_denoiser_rows: int
) -> AdapterCosts:
    """Return the medians of interleaved calls with two LoRAs on the projections of attention; they are gone afterwards.

    Row by row, half of a call carries the one and half the other.
    """
    for handle in HANDLES:
        loras.load(handle, _lora(loras))
    rows = max(1, min(DENOISER_ROWS, max_denoiser_rows))
    mixed = [(FIRST, SECOND)[row % 2] for row in range(rows)]
    ways = {
        "plain": (NO_ADAPTERS, [NO_ADAPTERS] * rows),
        "unmerged": (NO_ADAPTERS, mixed),
        "corrected": (FIRST, [SECOND] * rows),
    }
    conditioning = family.encode([""])[0]
    switching: list[float] = []
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(1 + REPEATS):
        for way, (folded, compositions) in ways.items():
            started_s = perf_counter()
            is_switch = folded != loras.folded
            loras.fold(folded)
            placement.wait()
            if is_switch:
                switching.append(perf_counter() - started_s)
            seconds[way].append(_call_s(family, loras, placement, compositions, conditioning))
    loras.fold(NO_ADAPTERS)
    for handle in HANDLES:
        loras.evict(handle)
    plain_s, unmerged_s, corrected_s = (median(taken[1:]) for taken in seconds.values())
    return AdapterCosts(
        switch_s=median(switching),
        unmerged_overhead=max(0.0, unmerged_s / plain_s - 1),
        correction_overhead=max(0.0, corrected_s / plain_s - 1),
    )


def _lora(loras: ModelLoras) -> LoraWeights:
    """Return a LoRA that changes nothing, at the cost of one that does."""
    layers = {path: shape for path, shape in loras.denoiser_targets.items() if path.endswith(PROJECTIONS)}
    changes = {
        path: LowRank(down=torch.zeros(RANK, *inputs), up=torch.zeros(outputs, RANK, *(1 for _ in inputs[1:])), scale=1)
        for path, (outputs, *inputs) in layers.items()
    }
    return LoraWeights(parts={loras.denoiser: changes})


def _call_s(
    family: Family,
    loras: ModelLoras,
    placement: Placement,
    compositions: Sequence[Composition],
    conditioning: Conditioning,
) -> float:
    rows = len(compositions)
    shape = family.latent_shape(*family.native_size)
    latents = torch.zeros(rows, *shape, device=placement.device, dtype=placement.dtype)
    zeros = torch.zeros(rows, device=placement.device)
    started_s = perf_counter()
    with loras.denoising(compositions):
        family.denoise(latents, zeros, [conditioning] * rows, zeros)
    placement.wait()
    return perf_counter() - started_s
