"""Measuring a model when it is loaded: what one denoiser call, one encoding and one decoding take."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import torch

from safelight.core.model import StepTime
from safelight.core.pixels import Pixels
from safelight.diffusion.families.family import Family
from safelight.diffusion.families.parts import Conditioning
from safelight.diffusion.placement import Placement

DENOISER_ROWS = (1, 2, 4, 8, 16, 32)
REPEATS = 3


def measure_step_times(
    family: Family, placement: Placement, *, max_denoiser_rows: int, rows_per_call: int | None = None
) -> tuple[StepTime, ...]:
    """Return the median seconds of a tick for each number of rows up to `max_denoiser_rows`.

    A tick is one denoiser call, or as many as it takes if a call has at most `rows_per_call` rows.
    """
    most = rows_per_call or max_denoiser_rows
    conditioning = family.encode([""])[0]
    times = []
    for rows in (count for count in DENOISER_ROWS if count == 1 or count <= max_denoiser_rows):
        calls = [_call(family, placement, conditioning, min(most, rows - first)) for first in range(0, rows, most)]
        times.append(StepTime(denoiser_rows=rows, seconds=_median_seconds(partial(_run, calls), placement)))
    return tuple(times)


def _call(family: Family, placement: Placement, conditioning: Conditioning, rows: int) -> Callable[[], object]:
    shape = family.latent_shape(*family.native_size)
    latents = torch.zeros(rows, *shape, device=placement.device, dtype=placement.dtype)
    zeros = torch.zeros(rows, device=placement.device)
    return partial(family.denoise, latents, zeros, [conditioning] * rows, zeros)


def _run(calls: Sequence[Callable[[], object]]) -> None:
    for call in calls:
        call()


def measure_encode_s(family: Family, placement: Placement) -> float:
    """Return the median seconds of encoding one prompt."""
    return _median_seconds(lambda: family.encode(["a picture"]), placement)


def measure_decode_s(family: Family, placement: Placement) -> float:
    """Return the median seconds of decoding one picture."""
    width, height = family.native_size
    latents = torch.zeros(1, *family.latent_shape(width, height))
    return _median_seconds(lambda: family.decode(latents), placement)


def measure_encode_picture_s(family: Family, placement: Placement) -> float:
    """Return the median seconds of encoding one picture that another starts from."""
    width, height = family.native_size
    picture = Pixels(width=width, height=height, rgb=bytes(3 * width * height))
    noise = torch.zeros(family.latent_shape(width, height))
    return _median_seconds(lambda: family.encode_picture(picture, noise), placement)


def _median_seconds(work: Callable[[], object], placement: Placement) -> float:
    work()
    placement.wait()
    taken = []
    for _ in range(REPEATS):
        started_s = time.perf_counter()
        work()
        placement.wait()
        taken.append(time.perf_counter() - started_s)
    return median(taken)
