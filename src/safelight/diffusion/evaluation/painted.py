"""Pictures of many captions, kept in files as they are painted, so that an interrupted run goes on."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from safelight.core.errors import SafelightError
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import make_job, paint_all
from safelight.reports.atomic_files import write_atomically

PART: Final = 256
"""Pictures of one file."""

Pictures = NDArray[np.uint8]


class FolderTaken(SafelightError):
    """A folder that holds pictures of something else."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{str(folder)!r} holds pictures of another model, seed or list of prompts; name another folder."
        )


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

    Each `PART` pictures are kept in a file of `folder`, which is for this model, these captions and this seed alone.

    Raises:
        FolderTaken: if it belongs to others.
    """
    _claim(folder, f"{model}\0{seed}\0" + "\0".join(captions))
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


def _claim(folder: Path, contents: str) -> None:
    """Note what a folder is for; raises FolderTaken if it is for something else."""
    folder.mkdir(parents=True, exist_ok=True)
    note, digest = folder / "pictures.sha256", hashlib.sha256(contents.encode()).hexdigest()
    if not note.exists():
        write_atomically(note, lambda path: path.write_text(digest))
    elif note.read_text() != digest:
        raise FolderTaken(folder)


def _read(path: Path, count: int) -> Pictures | None:
    """Return the pictures of a file; None if there are not `count` whole ones."""
    try:
        pictures: Pictures = load_file(path)["pictures"]
    except (OSError, KeyError, SafetensorError):
        return None
    return pictures if len(pictures) == count else None
