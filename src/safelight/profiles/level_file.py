"""The file of a level predictor: safetensors with what it learned of one model, and what it promises."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, cast

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from safelight.core.errors import LevelFileError
from safelight.reports.atomic_files import write_atomically

FORMAT: Final = "safelight-levels-1"

Arrays = Mapping[str, NDArray[np.float32]]


class LevelCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a level predictor is.

    Attributes:
        model, weights: of which it learned, by name and fingerprint.
        schedule: the noise level at which each step of the full run starts; it promises nothing for other ones.
        noises: the levels from which starts were measured, from high to low.
        fewer_steps: the numbers of steps below those of the full run that were measured.
        epsilon: a loss above this breaks a promise.
        promises: pairs of delta and a threshold: if every level with a predicted loss below the threshold is allowed,
            a loss exceeds `epsilon` with a probability of at most delta. From the strictest on.
        judge: what measured the losses.
        pairs, calibration_pairs: that the network learned of, and that set the thresholds.
    """

    model: str
    weights: str
    schedule: tuple[float, ...]
    noises: tuple[float, ...]
    fewer_steps: tuple[int, ...]
    epsilon: float
    promises: tuple[tuple[float, float], ...]
    judge: str
    pairs: int
    calibration_pairs: int


class LevelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A level predictor as its file has it."""

    card: LevelCard
    arrays: Arrays


def write_levels(levels: LevelFile, path: Path) -> None:
    """Write a level predictor to `path`, as a whole or not at all."""
    metadata = {"format": FORMAT, "levels": msgspec.json.encode(levels.card).decode()}
    write_atomically(path, partial(save_file, dict(levels.arrays), metadata=metadata))


def read_levels(path: Path) -> LevelFile:
    """Read a level predictor.

    Raises:
        LevelFileError: if `path` is none of this version.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                found = metadata.get("format", "no level predictor")
                reason = f"it is {found!r}, and not {FORMAT!r}; train it with `safelight train level-predictor`"
                raise LevelFileError(path, reason)
            card = msgspec.json.decode(metadata["levels"], type=LevelCard)
            names = list(file.keys())
            arrays = {name: cast("NDArray[np.float32]", file.get_tensor(name)) for name in names}
    except FileNotFoundError:
        raise LevelFileError(path, "there is no such file") from None
    except (OSError, KeyError, SafetensorError, msgspec.DecodeError) as error:
        raise LevelFileError(path, f"it is damaged ({error})") from error
    return LevelFile(card=card, arrays=arrays)
