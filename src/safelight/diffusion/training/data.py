"""Training data: rendered scenes, and varied pictures that teach the autoencoder more than flat shapes."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from safelight.shapes.render import render
from safelight.shapes.sampling import training_scenes
from safelight.shapes.scene import PlacedObject, Scene

SCENES_PER_TASK = 500


def _scenes_and_pictures(seed: tuple[int, int]) -> tuple[list[Scene], NDArray[np.uint8]]:
    scenes = list(islice(training_scenes(np.random.default_rng(seed)), SCENES_PER_TASK))
    return scenes, np.stack([render(scene) for scene in scenes])


def make_scenes(count: int, *, seed: int, processes: int) -> tuple[list[Scene], Tensor]:
    """Return `count` training scenes and their pictures as `(count, 3, 64, 64)` bytes."""
    seeds = [(seed, task) for task in range(-(-count // SCENES_PER_TASK))]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(_scenes_and_pictures, seeds))
    scenes = [scene for part, _ in parts for scene in part][:count]
    pictures = np.concatenate([part for _, part in parts])[:count]
    return scenes, torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def fineness(scenes: Sequence[Scene]) -> Tensor:
    """Return, for each scene, how much of it is hard to draw: small objects, stars and crosses above all."""
    return torch.tensor([1 + sum(_fineness(item) for item in scene.objects) for scene in scenes])


def _fineness(item: PlacedObject) -> float:
    is_thin = {"star": 1.5, "cross": 1.5, "heart": 0.5}
    return 1.5 * (item.size == "small") + is_thin.get(item.shape, 0.0)


def to_signal(pictures: Tensor) -> Tensor:
    """Return byte pictures as values in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def vary_pictures(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return `(rows, 3, 64, 64)` signals, many with changed colours, stripes, blur, big pixels or edges."""
    rows, _, height, width = pictures.shape

    def chance(share: float) -> Tensor:
        return (torch.rand(rows, generator=generator) < share).view(-1, 1, 1, 1)

    mix = torch.eye(3) + 0.4 * torch.randn(rows, 3, 3, generator=generator)
    shift = 0.2 * torch.randn(rows, 3, 1, 1, generator=generator)
    recoloured = torch.einsum("rcd,rdhw->rchw", mix, pictures) + shift
    varied = torch.where(chance(0.25), recoloured, pictures)

    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pitch = torch.randn(rows, 2, 1, 1, generator=generator)
    stripes = torch.sin(pitch[:, :1] * x + pitch[:, 1:] * y).sign()
    varied = torch.where(chance(0.06), varied + 0.3 * stripes, varied)

    blurred = blur(varied)
    varied = torch.where(chance(0.06), blurred, varied)
    coarse = F.interpolate(F.avg_pool2d(varied, 4), scale_factor=4.0, mode="nearest")
    varied = torch.where(chance(0.06), coarse, varied)
    edges = 2 * (varied - blurred).abs() - 1
    return torch.where(chance(0.06), edges, varied).clamp(-1, 1)


def crop(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return a quarter of each picture: of two random windows, the one of higher variance."""
    rows, _, height, width = pictures.shape
    tops, lefts = (torch.randint(side // 2 + 1, (2, rows), generator=generator).tolist() for side in (height, width))
    windows = torch.stack(
        [
            torch.stack(
                [
                    picture[:, y : y + height // 2, x : x + width // 2]
                    for picture, y, x in zip(pictures, ys, xs, strict=True)
                ]
            )
            for ys, xs in zip(tops, lefts, strict=True)
        ]
    )
    liveliest = windows.flatten(2).std(dim=2).argmax(dim=0)
    return windows[liveliest, torch.arange(rows)]


def blur(pictures: Tensor) -> Tensor:
    """Return pictures averaged over 5x5 pixels."""
    return F.avg_pool2d(F.pad(pictures, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
