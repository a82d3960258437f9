"""Finding the modules of a model by the names of layers in a file."""

from collections.abc import Mapping
from pathlib import Path

from safelight.core.errors import AdapterFileError
from safelight.diffusion.lora.names import Layers, Role
from safelight.diffusion.lora.pairs import misfit
from safelight.diffusion.lora.targets import Modules, Targets, locate, modules_of, unknown_module
from safelight.diffusion.lora.tensor_file import TensorFile


def find_modules(layers: Layers, component: str, targets: Targets, *, file: Path) -> dict[str, str]:
    """Return the path of the module that each layer's name means.

    Raises:
        AdapterFileError: naming the nearest module, if there is none of that name.
    """
    modules = modules_of(component, targets, file=file)
    found = {name: locate(name, modules) for name in layers}
    for name, path in found.items():
        if path is None:
            raise unknown_module(name, component, modules, file=file)
    return {name: path for name, path in found.items() if path is not None}


def infer_component(file: TensorFile, layers: Layers, targets: Targets) -> str:
    """Return the component whose modules all layers fit, by name and by shape; else that with most of the names.

    Raises:
        AdapterFileError: if several would do.
    """
    fitting = [component for component, modules in targets.items() if _all_fit(file, layers, modules)]
    if len(fitting) > 1:
        raise AdapterFileError(
            f"{str(file.path)!r} does not say whether it changes the {' or the '.join(fitting)}; "
            "put it into a sub-folder of that name."
        )
    return fitting[0] if fitting else max(targets, key=lambda component: _known(layers, targets[component]))


def _known(layers: Layers, modules: Modules) -> int:
    return sum(locate(name, modules) is not None for name in layers)


def _all_fit(file: TensorFile, layers: Layers, modules: Modules) -> bool:
    return all(_fits(file, layer, modules, locate(name, modules)) for name, layer in layers.items())


def _fits(file: TensorFile, layer: Mapping[Role, str], modules: Modules, path: str | None) -> bool:
    if path is None:
        return False
    return misfit(modules[path], file.shapes[layer[Role.DOWN]], file.shapes[layer[Role.UP]]) is None
