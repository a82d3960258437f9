"""One safetensors file: its header, and its tensors on demand."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from safelight.core.errors import AdapterFileError, shorten
from safelight.diffusion.lora.checks import check_opening

FLOATS = frozenset({"F16", "BF16", "F32", "F64"})
NUMBERS = FLOATS | {"I8", "I16", "I32", "I64", "U8"}


@dataclass(frozen=True, kw_only=True)
class TensorFile:
    """A file whose header has been read and whose tensors have not."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    metadata: Mapping[str, str]

    def load(self, keys: Iterable[str]) -> dict[str, Tensor]:
        """Return copies of the tensors, which do not depend on the file any more.

        Raises:
            AdapterFileError: if the file has been damaged since it was opened.
        """
        with _opened(self.path) as file:
            return {key: file.get_tensor(key).clone() for key in keys}

    def numbers(self, keys: Collection[str]) -> dict[str, float]:
        """Return what stands in tensors of one number each.

        Raises:
            AdapterFileError: if one holds more than that, or something else.
        """
        for key in keys:
            if self.shapes[key] not in {(), (1,)} or self.dtypes[key] not in NUMBERS:
                raise AdapterFileError(
                    f"{str(self.path)!r} has {shorten(key)} of shape {self.shapes[key]} and dtype {self.dtypes[key]}; "
                    "it must be a single number."
                )
        return {key: float(tensor.item()) for key, tensor in self.load(keys).items()}


def open_tensor_file(path: Path) -> TensorFile:
    """Read the header of the file at `path`.

    Raises:
        AdapterFileError: if it is no whole safetensors file.
    """
    check_opening(path)
    with _opened(path) as file:
        slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        return TensorFile(
            path=path,
            shapes={key: tuple(part.get_shape()) for key, part in slices.items()},
            dtypes={key: part.get_dtype() for key, part in slices.items()},
            metadata=file.metadata() or {},
        )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise AdapterFileError(
            f"The weights file {str(path)!r} is damaged or cut short ({error}); fetch it again."
        ) from None
