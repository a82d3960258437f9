"""Pairs that PEFT's settings scale: those of its own folders, and of diffusers files that carry the settings along."""

from collections.abc import Iterator

from safelight.core.errors import AdapterFileError
from safelight.diffusion.lora.module_lookup import find_modules
from safelight.diffusion.lora.names import Layers, Role
from safelight.diffusion.lora.pairs import Pair
from safelight.diffusion.lora.peft_config import PeftConfig
from safelight.diffusion.lora.targets import Targets
from safelight.diffusion.lora.tensor_file import TensorFile


def peft_pairs(
    layers: Layers, component: str, config: PeftConfig, *, file: TensorFile, targets: Targets
) -> Iterator[Pair]:
    """Yield the pairs of one component.

    Raises:
        AdapterFileError: if a layer is unknown, or is not of the rank that the settings say.
    """
    for name, module in find_modules(layers, component, targets, file=file.path).items():
        down, up = layers[name][Role.DOWN], layers[name][Role.UP]
        if file.shapes[down][:1] != (config.rank(name),):
            raise AdapterFileError(
                f"{str(file.path)!r} has {down!r} of shape {file.shapes[down]}, but its settings say rank "
                f"{config.rank(name)}; the two belong to different adapters."
            )
        yield Pair(
            component=component,
            module=module,
            file=file,
            down=down,
            up=up,
            alpha=config.alpha(name),
            is_rank_stabilised=config.is_rank_stabilised,
        )
