"""PEFT's folders: settings beside weights, at the top or in a sub-folder for each component."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from safelight.core.errors import AdapterFileError
from safelight.diffusion.lora.module_lookup import infer_component
from safelight.diffusion.lora.names import Role, gather
from safelight.diffusion.lora.pairs import Pair
from safelight.diffusion.lora.peft_config import CONFIG, read_config
from safelight.diffusion.lora.peft_pairs import peft_pairs
from safelight.diffusion.lora.reader import Reader
from safelight.diffusion.lora.source import Source
from safelight.diffusion.lora.targets import Targets
from safelight.diffusion.lora.weights import COMPONENTS

WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
ENDINGS = {".lora_A.weight": Role.DOWN, ".lora_B.weight": Role.UP}


def _configs(source: Source) -> tuple[Path, ...]:
    folders = (source.path, *(source.path / component for component in COMPONENTS))
    return tuple(file for file in source.files if file.name == CONFIG and file.parent in folders)


def _pairs(source: Source, targets: Targets) -> Sequence[Pair]:
    return [pair for config in _configs(source) for pair in _pairs_of_folder(config, source, targets)]


def _pairs_of_folder(config_file: Path, source: Source, targets: Targets) -> Iterator[Pair]:
    file = source.weights.get(config_file.parent / WEIGHTS)
    if file is None:
        raise AdapterFileError(f"{str(config_file.parent)!r} has {CONFIG} but no {WEIGHTS}.")
    config = read_config(config_file)
    layers = gather(file, ENDINGS, prefix=PREFIX)
    inside = config_file.parent != source.path
    component = config_file.parent.name if inside else infer_component(file, layers, targets)
    yield from peft_pairs(layers, component, config, file=file, targets=targets)


PEFT_FOLDER = Reader(name="PEFT folder", recognises=lambda source: bool(_configs(source)), pairs=_pairs)
