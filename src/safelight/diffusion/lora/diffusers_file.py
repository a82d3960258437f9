"""diffusers' files of all ages: a component's name before each module's path, factors called A and B or down and up.

Alpha stands in tensors, or in PEFT's settings inside the header; where it stands nowhere, it is the rank.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from safelight.diffusion.lora.module_lookup import find_modules, infer_component
from safelight.diffusion.lora.names import Layers, Role, alphas_of, gather
from safelight.diffusion.lora.pairs import Pair
from safelight.diffusion.lora.peft_config import PeftConfig, parse_object
from safelight.diffusion.lora.peft_pairs import peft_pairs
from safelight.diffusion.lora.reader import Reader
from safelight.diffusion.lora.source import Source
from safelight.diffusion.lora.targets import Targets
from safelight.diffusion.lora.tensor_file import TensorFile
from safelight.diffusion.lora.weights import COMPONENTS

SETTINGS = "lora_adapter_metadata"
FACTORS = {
    ".lora_A.weight": Role.DOWN,
    ".lora_B.weight": Role.UP,
    ".lora.down.weight": Role.DOWN,
    ".lora.up.weight": Role.UP,
    ".lora_linear_layer.down.weight": Role.DOWN,
    ".lora_linear_layer.up.weight": Role.UP,
    "_lora.down.weight": Role.DOWN,
    "_lora.up.weight": Role.UP,
}
ENDINGS = FACTORS | {".alpha": Role.ALPHA}


def _recognises(source: Source) -> bool:
    return source.single is not None and any(key.endswith(tuple(FACTORS)) for key in source.single.shapes)


def _pairs(source: Source, targets: Targets) -> Sequence[Pair]:
    file = source.single
    assert file is not None
    settings = parse_object(file.metadata[SETTINGS], file=file.path) if SETTINGS in file.metadata else {}
    return [
        pair
        for prefix, layers in _by_prefix(gather(file, ENDINGS)).items()
        for pair in _pairs_of_component(prefix, layers, settings, file=file, targets=targets)
    ]


def _by_prefix(layers: Layers) -> dict[str, dict[str, Mapping[Role, str]]]:
    """Part the layers by the component that their names begin with, or by "" where they begin with none."""
    parted: dict[str, dict[str, Mapping[Role, str]]] = {}
    for name, layer in layers.items():
        first, _, rest = name.partition(".")
        prefix, path = (first, rest) if first in COMPONENTS else ("", name)
        parted.setdefault(prefix, {})[path] = layer
    return parted


def _pairs_of_component(
    prefix: str, layers: Layers, settings: Mapping[str, Any], *, file: TensorFile, targets: Targets
) -> Iterator[Pair]:
    component = prefix or infer_component(file, layers, targets)
    own = _settings_of(prefix, settings)
    if own:
        yield from peft_pairs(layers, component, PeftConfig(own, file=file.path), file=file, targets=targets)
        return
    alphas = alphas_of(file, layers)
    for name, module in find_modules(layers, component, targets, file=file.path).items():
        yield Pair(
            component=component,
            module=module,
            file=file,
            down=layers[name][Role.DOWN],
            up=layers[name][Role.UP],
            alpha=alphas.get(name),
        )


def _settings_of(prefix: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    start = f"{prefix}." if prefix else ""
    return {field.removeprefix(start): value for field, value in settings.items() if field.startswith(start)}


DIFFUSERS_FILE = Reader(name="diffusers file", recognises=_recognises, pairs=_pairs)
