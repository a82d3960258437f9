"""Loading the components of a model from a diffusers folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from safelight.core.errors import ModelFolderError
from safelight.diffusion.folder import check_weights, class_in, explaining, has_numbers, read_json
from safelight.diffusion.placement import Placement

CLIP_TOKENIZERS = frozenset({"CLIPTokenizer", "CLIPTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"})
"""Tokenizer classes that families accept for a CLIP encoder."""

T5_TOKENIZERS = frozenset({"T5Tokenizer", "T5TokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"})
"""Tokenizer classes that families accept for a T5 encoder."""


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """A diffusers folder whose index has been checked, and where its networks are to compute."""

    path: Path
    index: Mapping[str, Any]
    placement: Placement

    def network(self, kind: Any, component: str) -> Any:  # noqa: ANN401 - the libraries' classes are untyped
        """Load a network of class `kind`; raises ModelFolderError."""
        return load_network(kind, self.path / component, placement=self.placement)

    def network_in_single_precision(self, kind: Any, component: str) -> Any:  # noqa: ANN401 - likewise
        """Load a network that computes in single precision wherever it is; raises ModelFolderError."""
        return load_network(kind, self.path / component, placement=self.placement.in_single_precision)

    def tokenizer(self, component: str) -> Any:  # noqa: ANN401 - likewise
        """Load a tokenizer; raises ModelFolderError."""
        return load_tokenizer(self.path / component)

    def scheduler_config(self, kind: Any) -> Mapping[str, Any]:  # noqa: ANN401 - likewise
        """Return the config of the scheduler as a scheduler of class `kind` completes it; raises ModelFolderError."""
        folder = self.path / "scheduler"
        with explaining(folder):
            return dict(kind.from_config(read_json(folder / "scheduler_config.json")).config)

    def has_numbers(self, component: str, tensor: str) -> bool:
        """Whether the folder has the component, and not only zeros in a tensor of it; raises ModelFolderError."""
        return class_in(self.index, component) is not None and has_numbers(self.path / component, tensor)


def load_network(kind: Any, folder: Path, *, placement: Placement) -> Any:  # noqa: ANN401 - likewise
    """Load one network, in evaluation mode and without gradients.

    Raises:
        ModelFolderError: if its folder does not hold whole safetensors weights of this kind.
    """
    check_weights(folder)
    with explaining(folder):
        network = kind.from_pretrained(folder, use_safetensors=True, local_files_only=True, dtype=placement.dtype)
    return network.to(placement.device).eval().requires_grad_(requires_grad=False)


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - likewise
    """Load a tokenizer that is plain data.

    Raises:
        ModelFolderError: if there is none, or it brings code.
    """
    config = read_json(folder / "tokenizer_config.json")
    if config.get("auto_map"):
        raise ModelFolderError(f"{str(folder)!r} brings code of its own (auto_map), which Safelight does not run.")
    with explaining(folder):
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
