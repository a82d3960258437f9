"""What the tensors of a LoRA file are called: pairs of factors are understood, everything else is refused by name."""

from collections.abc import Mapping
from enum import StrEnum

from safelight.core.errors import AdapterFileError, shorten
from safelight.diffusion.lora.tensor_file import TensorFile


class Role(StrEnum):
    """What a tensor is to the layer that it belongs to."""

    DOWN = "down"
    UP = "up"
    ALPHA = "alpha"


Endings = Mapping[str, Role]
"""How the names of tensors end; what stands before is the layer's name."""

Layers = Mapping[str, Mapping[Role, str]]
"""Name of the layer -> role -> name of the tensor."""

OTHER_METHODS = {
    "dora_scale": "belongs to DoRA, which also rescales whole weights",
    "lora_magnitude_vector": "belongs to DoRA, which also rescales whole weights",
    "hada_w": "belongs to LoHa, which multiplies two LoRAs element by element",
    "lokr_w": "belongs to LoKr, which is made of Kronecker products",
    "lokr_t": "belongs to LoKr, which is made of Kronecker products",
    "lora_mid": "belongs to a Tucker decomposition, which has a third factor",
    "lora_embedding_": "changes an embedding",
}
WHOLE_PARAMETERS = {
    ".bias": "is a bias",
    ".diff_b": "is the change of a bias",
    ".diff": "is the change of a whole weight",
    ".weight": "is a whole weight, as PEFT's modules_to_save are",
}


def gather(file: TensorFile, endings: Endings, *, prefix: str = "") -> Layers:
    """Return the tensors by layer and role; `prefix` is taken off the names of layers.

    Raises:
        AdapterFileError: if a tensor is no part of a LoRA, stands twice, or lacks its other half.
    """
    layers: dict[str, dict[Role, str]] = {}
    for key in file.shapes:
        ending = next((ending for ending in endings if key.endswith(ending)), None)
        if ending is None:
            raise unreadable(file, key)
        layer = layers.setdefault(key.removesuffix(ending).removeprefix(prefix), {})
        if endings[ending] in layer:
            raise AdapterFileError(
                f"{str(file.path)!r} says one thing twice, in {shorten(layer[endings[ending]])} and in {shorten(key)}."
            )
        layer[endings[ending]] = key
    for name, layer in layers.items():
        _check_whole(file, name, layer)
    return layers


def alphas_of(file: TensorFile, layers: Layers) -> dict[str, float]:
    """Return alpha of each layer that has one of its own.

    Raises:
        AdapterFileError: if one is no single number.
    """
    keys = {name: layer[Role.ALPHA] for name, layer in layers.items() if Role.ALPHA in layer}
    numbers = file.numbers(keys.values())
    return {name: numbers[key] for name, key in keys.items()}


def _check_whole(file: TensorFile, name: str, layer: Mapping[Role, str]) -> None:
    missing = sorted({Role.DOWN, Role.UP} - layer.keys())
    if missing:
        raise AdapterFileError(
            f"{str(file.path)!r} has {', '.join(map(shorten, layer.values()))} but no {' and no '.join(missing)} "
            f"factor for {shorten(name)}; the file is incomplete."
        )


def unreadable(file: TensorFile, key: str) -> AdapterFileError:
    """Return the error for a tensor that is not part of a LoRA."""
    return AdapterFileError(
        f"{str(file.path)!r} holds {shorten(key, limit=200)}, which {_what_it_is(key)}; Safelight serves plain LoRA on "
        "linear layers and convolutions."
    )


def _what_it_is(key: str) -> str:
    methods = (what for mark, what in OTHER_METHODS.items() if mark in key)
    parameters = (what for ending, what in WHOLE_PARAMETERS.items() if key.endswith(ending))
    return next(methods, None) or next(parameters, "no LoRA has")
