"""The file of a gate: safetensors with what it was made for and how good it is."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from safelight.core.errors import GateFileError
from safelight.reports.atomic_files import write_atomically

FORMAT: Final = "safelight-gate-1"
NET: Final = "net."

Arrays = Mapping[str, NDArray[np.generic]]


class GateCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a gate is.

    Attributes:
        light, heavy: the models that it stands between, by name, with the fingerprints of their weights.
        slope, intercept: of the line from logits to calibrated log odds (Platt, 1999).
        deferral: pairs of a threshold and the share of light pictures that score below it.
        best_share: escalating a larger share made no better pictures.
        judge: what said which training pictures are good enough.
        captions: of which the network learned.
        auc, calibration_error: on captions that the network did not learn of.
    """

    name: str
    light: str
    heavy: str
    light_weights: str
    heavy_weights: str
    slope: float = 1.0
    intercept: float = 0.0
    deferral: tuple[tuple[float, float], ...]
    best_share: float = 1.0
    judge: str
    captions: int
    auc: float
    calibration_error: float


class GateFile(msgspec.Struct, frozen=True, kw_only=True):
    """A gate as its file has it: the weights of its network, and the arrays of its router, if it has one."""

    card: GateCard
    net: Arrays
    router: Arrays = {}


def write_gate(gate: GateFile, path: Path) -> None:
    """Write a gate to `path`, as a whole or not at all."""
    from safetensors.numpy import save_file  # noqa: PLC0415 - of the extra [serve]

    tensors = {NET + name: array for name, array in gate.net.items()}
    metadata = {"format": FORMAT, "gate": msgspec.json.encode(gate.card).decode()}
    write_atomically(path, partial(save_file, {**tensors, **gate.router}, metadata=metadata))


def read_gate(path: Path) -> GateFile:
    """Read a gate.

    Raises:
        GateFileError: if `path` is no gate of this version.
    """
    try:
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - of the extra [serve]
    except ModuleNotFoundError:
        raise GateFileError(path, "reading it needs safetensors, of the extra [serve]") from None
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                found = metadata.get("format", "no gate")
                raise GateFileError(path, f"it is {found!r}, and not {FORMAT!r}; train it with `safelight train gate`")
            card = msgspec.json.decode(metadata["gate"], type=GateCard)
            names = list(file.keys())
            tensors = {name: cast("NDArray[np.generic]", file.get_tensor(name)) for name in names}
    except FileNotFoundError:
        raise GateFileError(path, "there is no such file") from None
    except (OSError, KeyError, SafetensorError, msgspec.DecodeError) as error:
        raise GateFileError(path, f"it is damaged ({error})") from error
    return GateFile(
        card=card,
        net={name.removeprefix(NET): array for name, array in tensors.items() if name.startswith(NET)},
        router={name: array for name, array in tensors.items() if not name.startswith(NET)},
    )
