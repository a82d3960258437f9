"""A judge by CLIP: how near a picture's vector is to that of its prompt (CLIPScore: Hessel et al., EMNLP 2021)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import CLIPModel

from safelight.core.errors import ModelFolderError
from safelight.diffusion.families.components import load_network, load_tokenizer
from safelight.diffusion.folder import read_json
from safelight.diffusion.placement import ON_CPU

SCALE: Final = 2.5
"""CLIPScore's factor (section 3)."""

LEAST: Final = 0.7
"""The CLIPScore of a picture that is good enough, unless another one is named: a choice, not a measurement."""

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)
"""Of each colour, in CLIP's training pictures; for folders that state no other ones."""

Vector = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ClipEncoders:
    """Both encoders of a CLIP model; `mean` is subtracted from each colour, and the rest divided by `deviation`."""

    network: Any
    tokenizer: Any
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @torch.inference_mode()
    def picture_vectors(self, pictures: NDArray[np.uint8]) -> Vector:
        """Return the normalized vectors of `pictures`, `(n, height, width, 3)`, as `(n, width of the vectors)`."""
        side = self.network.config.vision_config.image_size
        signals = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
        sized = functional.interpolate(signals, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1)
        mean, deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in (self.mean, self.deviation))
        seen = self.network.vision_model(pixel_values=(sized - mean) / deviation).pooler_output
        return _normalized(self.network.visual_projection(seen))

    @torch.inference_mode()
    def text_vectors(self, prompts: Sequence[str]) -> Vector:
        """Return the normalized vectors of `prompts`, cut to the tokens that CLIP reads, like those of pictures."""
        most = self.network.config.text_config.max_position_embeddings
        tokens = self.tokenizer(list(prompts), padding=True, truncation=True, max_length=most, return_tensors="pt")
        read = self.network.text_model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
        return _normalized(self.network.text_projection(read.pooler_output))


@lru_cache(maxsize=2)
def clip_encoders(folder: Path) -> ClipEncoders:
    """Load a folder as transformers saves `CLIPModel`, with its tokenizer; its weights are safetensors.

    Raises:
        ModelFolderError: if there is no such model in it.
    """
    if not folder.is_dir():
        raise ModelFolderError(f"There is no model folder {str(folder)!r}; name a folder that holds a CLIP model.")
    if (kind := read_json(folder / "config.json").get("model_type")) != "clip":
        raise ModelFolderError(
            f"{str(folder / 'config.json')!r} is of model_type {kind!r}; a CLIP judge needs one of 'clip', "
            "with an encoder of pictures and one of texts."
        )
    steps = read_json(path) if (path := folder / "preprocessor_config.json").is_file() else {}
    return ClipEncoders(
        network=load_network(CLIPModel, folder, placement=ON_CPU),
        tokenizer=load_tokenizer(folder),
        mean=_colours(steps.get("image_mean"), folder, MEAN),
        deviation=_colours(steps.get("image_std"), folder, DEVIATION),
    )


@dataclass(frozen=True)
class ClipVerdicts:
    """What CLIP sees of a picture."""

    vector: Vector
    judge: "ClipJudge"

    def suits(self, prompt: str) -> bool:
        """Return whether the CLIPScore is at least the judge's `least`."""
        return self.value(prompt) >= self.judge.least

    def value(self, prompt: str) -> float:
        """Return the CLIPScore, at most 1."""
        similarity = float(self.vector @ self.judge.encoders.text_vectors([prompt])[0])
        return min(1.0, SCALE * max(0.0, similarity))

    def words(self, prompt: str) -> Mapping[int, bool]:
        """Return nothing: CLIP reads a prompt as a whole."""
        return {}

    def objects(self) -> Sequence[tuple[int, ...]]:
        """Return nothing: CLIP sees a picture as a whole."""
        return ()


@dataclass(frozen=True, kw_only=True)
class ClipJudge:
    """Judges pictures by the CLIP model in `folder`, for prompts of any domain; each process loads it once.

    Attributes:
        least: the CLIPScore of a picture that is good enough.
    """

    name: ClassVar[str] = "clip"
    folder: Path
    least: float = LEAST

    @cached_property
    def encoders(self) -> ClipEncoders:
        """The model; ModelFolderError if the folder holds none."""
        return clip_encoders(self.folder)

    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "least": self.least}

    def look(self, picture: NDArray[np.uint8]) -> ClipVerdicts:
        """Encode a picture, `(height, width, 3)`."""
        return ClipVerdicts(self.encoders.picture_vectors(picture[None])[0], self)


def _normalized(vectors: Tensor) -> Vector:
    normalized: Vector = functional.normalize(vectors.float(), dim=-1).numpy()
    return normalized


def _colours(numbers: object, folder: Path, default: tuple[float, ...]) -> tuple[float, ...]:
    match numbers:
        case None:
            return default
        case [float() | int(), float() | int(), float() | int()]:
            return tuple(float(each) for each in numbers)
    raise ModelFolderError(f"The preprocessor of {str(folder)!r} names {numbers!r} where it needs a number a colour.")
