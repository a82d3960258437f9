"""Pictures of many captions, kept in files as they are painted, so that an interrupted run goes on."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import make_job, paint_all
from safelight.reports.atomic_files import write_atomically

PART: Final = 256
"""Pictures of one file."""

Pictures = NDArray[np.uint8]


def paint_captions(
    engine: DiffusionEngine,
    model: str,
    captions: Sequence[str],
    *,
    seed: int,
    folder: Path,
    on_picture: Callable[[int, int], None] = lambda done, total: None,
) -> Pictures:
    """Return the pictures of `captions`, `(captions, height, width, 3)`; the seed of each is `seed` plus its number.

    Each `PART` pictures are kept in a file of `folder`, which belongs to these captions and this seed alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for first in range(0, len(captions), PART):
        own = captions[first : first + PART]
        path = folder / f"{first:06d}.safetensors"
        pictures = _read(path, len(own))
        if pictures is None:
            jobs = [make_job(engine.models, text, model=model, seed=seed + first + n) for n, text in enumerate(own)]
            painted = []
            for number, picture in enumerate(paint_all(engine, jobs)):
                painted.append(np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3))
                on_picture(first + number + 1, len(captions))
            pictures = np.stack(painted)
            write_atomically(path, partial(save_file, {"pictures": pictures}))
        on_picture(first + len(own), len(captions))
        parts.append(pictures)
    return np.concatenate(parts)


def _read(path: Path, count: int) -> Pictures | None:
    """Return the pictures of a file; None if there are not `count` whole ones."""
    try:
        pictures: Pictures = load_file(path)["pictures"]
    except (OSError, KeyError, SafetensorError):
        return None
    return pictures if len(pictures) == count else None
