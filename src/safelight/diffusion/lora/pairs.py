"""From named pairs of factors to checked weights: everything in a header is checked before a tensor is read."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from safelight.core.errors import AdapterFileError
from safelight.diffusion.lora.targets import Targets
from safelight.diffusion.lora.tensor_file import FLOATS, TensorFile
from safelight.diffusion.lora.weights import LoraWeights, LowRank


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Where a file keeps the two factors of one module.

    Attributes:
        alpha: what the product is scaled by, over the rank; `None` stands for the rank itself.
        is_rank_stabilised: alpha is over the square root of the rank (rsLoRA, Kalajdzievski 2023).
        rows: the rows of the up factor that are this module's; `None` stands for all.
    """

    component: str
    module: str
    file: TensorFile
    down: str
    up: str
    alpha: float | None = None
    is_rank_stabilised: bool = False
    rows: range | None = None

    @property
    def down_shape(self) -> tuple[int, ...]:
        return self.file.shapes[self.down]

    @property
    def up_shape(self) -> tuple[int, ...]:
        shape = self.file.shapes[self.up]
        return shape if self.rows is None else (len(self.rows), *shape[1:])

    @property
    def scale(self) -> float:
        rank = self.down_shape[0]
        return 1.0 if self.alpha is None else self.alpha / (math.sqrt(rank) if self.is_rank_stabilised else rank)


def assemble(pairs: Sequence[Pair], targets: Targets, *, path: Path) -> LoraWeights:
    """Return the weights, in memory of their own.

    Raises:
        AdapterFileError: if a factor does not fit its module or holds something else than finite floats.
    """
    if not pairs:
        raise AdapterFileError(f"{str(path)!r} holds no LoRA at all.")
    for pair in pairs:
        _check(pair, targets[pair.component][pair.module])
    files = {pair.file.path: pair.file for pair in pairs}
    tensors = {path: file.load(_keys_in(file, pairs)) for path, file in files.items()}
    parts: dict[str, dict[str, LowRank]] = {}
    for pair in pairs:
        part = parts.setdefault(pair.component, {})
        if pair.module in part:
            raise AdapterFileError(f"{str(path)!r} changes {pair.module!r} of the {pair.component} twice.")
        part[pair.module] = _low_rank(pair, tensors[pair.file.path])
    return LoraWeights(parts=parts)


def misfit(weight: tuple[int, ...], down: tuple[int, ...], up: tuple[int, ...]) -> str | None:
    """Return why factors of these shapes do not fit a weight of that shape, or `None` if they do."""
    outputs, *inputs = weight
    kernel = len(inputs) > 1
    if len(down) != len(weight) or len(up) != len(weight) or 0 in down:
        return f"a {'convolution' if kernel else 'linear layer'} takes two factors of {len(weight)} dimensions"
    if down[0] != up[1]:
        return f"down has rank {down[0]} and up has rank {up[1]}"
    wanted_down, wanted_up = (down[0], *inputs), (outputs, down[0], *(1 for _ in inputs[1:]))
    if (down, up) != (wanted_down, wanted_up):
        return f"its weight is {weight}, which takes {wanted_down} and {wanted_up}"
    return None


def _check(pair: Pair, weight: tuple[int, ...]) -> None:
    where = f"{str(pair.file.path)!r} has for {pair.module!r} of the {pair.component}"
    why = misfit(weight, pair.down_shape, pair.up_shape)
    if why is not None:
        raise AdapterFileError(
            f"{where} factors of shapes {pair.down_shape} (down) and {pair.up_shape} (up), but {why}. "
            "Was the adapter made for another model?"
        )
    for key in (pair.down, pair.up):
        if pair.file.dtypes[key] not in FLOATS:
            raise AdapterFileError(
                f"{where} a factor of dtype {pair.file.dtypes[key]}; it must be {', '.join(sorted(FLOATS))}."
            )
    if not math.isfinite(pair.scale):
        raise AdapterFileError(f"{where} alpha {pair.alpha}; it must be a finite number.")


def _keys_in(file: TensorFile, pairs: Iterable[Pair]) -> set[str]:
    return {key for pair in pairs if pair.file is file for key in (pair.down, pair.up)}


def _low_rank(pair: Pair, tensors: Mapping[str, Tensor]) -> LowRank:
    down, up = tensors[pair.down], tensors[pair.up]
    where = f"{str(pair.file.path)!r} has for {pair.module!r} of the {pair.component}"
    largest = float(down.abs().max()) * float(up.abs().max())
    if not math.isfinite(largest):
        raise AdapterFileError(
            f"{where} factors with NaN or infinity in them; the training has gone wrong, or the file is damaged."
        )
    if largest * abs(pair.scale) * down.shape[0] > torch.finfo(torch.float32).max:
        raise AdapterFileError(f"{where} factors whose product is too large for float32; the file is damaged.")
    return LowRank(down=down, up=up if pair.rows is None else up[pair.rows.start : pair.rows.stop], scale=pair.scale)
