"""The Frechet distance of two sets of pictures, on the features of an encoder (FID: Heusel et al., NeurIPS 2017)."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from safelight.core.errors import RequestError, nearest
from safelight.diffusion.gates.clip_judge import SCALE, clip_encoders
from safelight.diffusion.gates.net import BATCH, GateNet, signals_of, word_numbers
from safelight.profiles.gate_file import read_gate

Features = NDArray[np.float64]
Pictures = NDArray[np.uint8]

ENCODERS: Final = ("gate", "clip")


class PictureEncoder(Protocol):
    """Turns pictures, `(n, height, width, 3)` in bytes, into features, `(n, width)`."""

    @property
    def name(self) -> str: ...

    def features(self, pictures: Pictures) -> Features:
        """Return the features of each picture."""
        ...


class GateFeatures:
    """What the network of a gate sees in a picture: means and deviations of its 64 features over the cells.

    It knows the embedded domain only. Distances by it compare with each other, not with those of Inception networks.
    """

    name: ClassVar[str] = "gate"

    def __init__(self, path: Path) -> None:
        """Load the network of a gate; raises GateFileError."""
        self._net = GateNet()
        self._net.load_state_dict({name: torch.from_numpy(each).float() for name, each in read_gate(path).net.items()})
        self._net.eval()

    @torch.inference_mode()
    def features(self, pictures: Pictures) -> Features:
        parts = []
        for first in range(0, len(pictures), BATCH):
            own = torch.from_numpy(np.ascontiguousarray(pictures[first : first + BATCH]))
            cells = self._net.look(signals_of(own), word_numbers([""] * len(own))).cells
            parts.append(torch.cat([cells.mean(dim=1), cells.std(dim=1)], dim=1))
        return torch.cat(parts).double().numpy()


class ClipFeatures:
    """The vectors of a CLIP model's picture encoder."""

    name: ClassVar[str] = "clip"

    def __init__(self, folder: Path) -> None:
        """Load the model; raises ModelFolderError."""
        self._encoders = clip_encoders(folder)

    def features(self, pictures: Pictures) -> Features:
        parts = [self._encoders.picture_vectors(pictures[first : first + BATCH]) for first in _firsts(pictures)]
        return np.concatenate(parts).astype(np.float64)

    def clip_score(self, pictures: Pictures, prompts: Sequence[str]) -> float:
        """Return the mean CLIPScore (Hessel et al., EMNLP 2021) of pictures and their prompts."""
        texts = np.concatenate(
            [self._encoders.text_vectors(prompts[first : first + BATCH]) for first in _firsts(pictures)]
        )
        cosines = (self.features(pictures) * texts).sum(axis=1)
        return float(np.mean(SCALE * np.maximum(cosines, 0.0)))


def encoder_of(name: str, *, gate: Path) -> GateFeatures | ClipFeatures:
    """Return the encoder `gate`, or `clip:FOLDER`.

    Raises:
        RequestError: if there is no such encoder.
        GateFileError, ModelFolderError: if it cannot be loaded.
    """
    kind, _, folder = name.partition(":")
    if kind == GateFeatures.name and not folder:
        return GateFeatures(gate)
    if kind == ClipFeatures.name and folder:
        return ClipFeatures(Path(folder))
    raise RequestError(f"No encoder is called {name!r}: it is gate, or clip:FOLDER; {nearest(kind, ENCODERS)}")


def frechet_distance(first: Features, second: Features) -> float:
    """Return the squared Frechet distance of the normal distributions with the moments of two sets of features.

    Raises:
        ValueError: if a set has fewer than two rows.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError("each set needs two pictures at least")
    means = first.mean(axis=0), second.mean(axis=0)
    one, other = (np.atleast_2d(np.cov(each, rowvar=False)) for each in (first, second))
    values, vectors = np.linalg.eigh(one)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0.0)).sum()
    squared = float(((means[0] - means[1]) ** 2).sum() + np.trace(one) + np.trace(other) - 2 * shared)
    return max(0.0, squared)


def _firsts(pictures: Pictures) -> range:
    return range(0, len(pictures), BATCH)
