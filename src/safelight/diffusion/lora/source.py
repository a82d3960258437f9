"""The files of an adapter on disk, before their format is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safelight.core.errors import AdapterFileError
from safelight.diffusion.lora.checks import adapter_files
from safelight.diffusion.lora.tensor_file import TensorFile, open_tensor_file

SUFFIX = ".safetensors"


@dataclass(frozen=True, kw_only=True)
class Source:
    """All plain files of an adapter, and the headers of those that hold tensors."""

    path: Path
    files: tuple[Path, ...]
    weights: Mapping[Path, TensorFile]

    @property
    def single(self) -> TensorFile | None:
        """The weights, where one file has them all."""
        return next(iter(self.weights.values())) if len(self.weights) == 1 else None


def open_source(path: Path) -> Source:
    """List the adapter's file or folder, without reading a tensor.

    Raises:
        AdapterFileError: if anything about its files is not in order.
    """
    files = adapter_files(path)
    weights = files if files == (path,) else tuple(file for file in files if file.suffix == SUFFIX)
    if not weights:
        raise AdapterFileError(f"{str(path)!r} holds no {SUFFIX} file; an adapter's weights are in one.")
    return Source(path=path, files=files, weights={file: open_tensor_file(file) for file in weights})
