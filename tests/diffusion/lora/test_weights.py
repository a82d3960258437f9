"""The canonical form, against the layers that it stands for."""

import pytest
import torch
from torch import nn

from safelight.diffusion.lora.targets import lora_targets
from safelight.diffusion.lora.weights import LoraWeights, LowRank


def low_rank(down, up, *, scale=0.5, dtype=torch.float32):
    luck = torch.Generator().manual_seed(0)
    return LowRank(
        down=torch.randn(down, generator=luck).to(dtype), up=torch.randn(up, generator=luck).to(dtype), scale=scale
    )


def test_a_linear_change_is_two_thin_layers():
    change, x = low_rank((3, 8), (5, 3)), torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(x @ change.delta().T, 0.5 * (x @ change.down.T) @ change.up.T, atol=1e-5)


def test_a_convolution_s_change_is_two_thin_convolutions():
    change = low_rank((3, 8, 3, 3), (5, 3, 1, 1))
    x = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(1))
    thin = 0.5 * nn.functional.conv2d(nn.functional.conv2d(x, change.down, padding=1), change.up)
    assert torch.allclose(nn.functional.conv2d(x, change.delta(), padding=1), thin, atol=1e-4)


@pytest.mark.parametrize(
    ("stored", "computed"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
)
def test_changes_are_multiplied_out_in_float32_or_better(stored, computed):
    assert low_rank((3, 8), (5, 3), dtype=stored).delta().dtype == computed


def test_bytes_and_ranks_are_those_of_all_parts():
    parts = {"unet": {"a": low_rank((3, 8), (5, 3))}, "text_encoder": {"b": low_rank((2, 8), (5, 2))}}
    lora = LoraWeights(parts=parts)
    assert (lora.weights_bytes, lora.ranks) == (4 * (3 + 2) * (8 + 5), (2, 3))


def test_targets_are_linear_layers_and_ungrouped_convolutions():
    module = nn.ModuleDict(
        {
            "linear": nn.Linear(2, 3),
            "conv": nn.Conv2d(4, 6, 3),
            "grouped": nn.Conv2d(4, 6, 3, groups=2),
            "embedding": nn.Embedding(2, 3),
            "norm": nn.LayerNorm(3),
        }
    )
    assert lora_targets(module) == {"linear": (3, 2), "conv": (6, 4, 3, 3)}
