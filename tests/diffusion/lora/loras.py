"""A small network with a linear layer and two convolutions, and random LoRAs for it."""

from functools import cache

import torch
from torch import nn

from diffusion.jobs import handle
from safelight.diffusion.lora.targets import lora_targets
from safelight.diffusion.lora.weights import LoraWeights, LowRank

COMPONENT = "unet"
CLOSE = 1e-5


class SmallNet(nn.Module):
    """Makes (rows, places, 5) of (rows, 3, height, width)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.point = nn.Conv2d(4, 6, 1)
        self.linear = nn.Linear(6, 5)

    def forward(self, x):
        return self.linear(self.point(self.conv(x).relu()).flatten(2).mT)


def small_net(*, dtype=torch.float32):
    torch.manual_seed(0)
    return SmallNet().to(dtype).eval().requires_grad_(requires_grad=False)


def random_lora(net, *, seed, ranks, component=COMPONENT, scale=0.5):
    """`ranks` has the rank of each layer, by path."""
    luck = torch.Generator().manual_seed(seed)
    targets = lora_targets(net)

    def change(path, rank):
        outputs, *inputs = targets[path]
        ones = [1] * (len(inputs) - 1)
        down = torch.randn(rank, *inputs, generator=luck)
        return LowRank(down=down, up=torch.randn(outputs, rank, *ones, generator=luck), scale=scale)

    return LoraWeights(parts={component: {path: change(path, rank) for path, rank in ranks.items()}})


@cache
def small_loras():
    """Adapters of different ranks, none of which touches the same layers as another."""
    net = small_net()
    return {
        handle("all"): random_lora(net, seed=1, ranks={"conv": 3, "point": 2, "linear": 1}),
        handle("linear"): random_lora(net, seed=2, ranks={"linear": 5}),
        handle("conv"): random_lora(net, seed=3, ranks={"conv": 2}, scale=-1.5),
    }


def folded_by_hand(net, uses):
    """Return a copy of `net` with a composition added to its weights."""
    twin = type(net)().to(net.linear.weight.dtype).eval().requires_grad_(requires_grad=False)
    twin.load_state_dict(net.state_dict())
    for use in uses.uses:
        for path, change in small_loras()[use.handle].parts[COMPONENT].items():
            twin.get_submodule(path).weight += use.scale * change.delta()
    return twin
