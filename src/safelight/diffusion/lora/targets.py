"""The layers of a model that a LoRA can change, and finding them by the names that files give them."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import nn

from safelight.core.errors import AdapterFileError, shorten

Modules = Mapping[str, tuple[int, ...]]
"""Of one component: path of the module -> shape of its weight."""

Targets = Mapping[str, Modules]
"""Of one model: component -> its modules."""

LONGEST_NAME = 200


def lora_targets(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the path and the weight's shape of each linear layer and ungrouped 2D convolution in `module`."""
    return {path: tuple(layer.weight.shape) for path, layer in module.named_modules() if _is_target(layer)}


def _is_target(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)


def modules_of(component: str, targets: Targets, *, file: Path) -> Modules:
    """Return the component's modules.

    Raises:
        AdapterFileError: if the model has no such component.
    """
    if component not in targets:
        raise AdapterFileError(
            f"{str(file)!r} changes the {shorten(component)} of a model, but this model has {', '.join(targets)} only; "
            "was the adapter made for another family of models?"
        )
    return targets[component]


def locate(name: str, modules: Modules) -> str | None:
    """Return the path of the module that a file calls `name`; also in the spelling of older libraries."""
    return next((path for path in _spellings(name) if path in modules), None)


def text_spellings(path: str) -> tuple[str, ...]:
    """Return the path with and without the level that transformers 5 took out of CLIP's text encoder."""
    bare = path.removeprefix("text_model.")
    return bare, f"text_model.{bare}"


def _spellings(name: str) -> Iterator[str]:
    yield name
    name = name.replace(".processor.", ".")
    yield from text_spellings(name)
    parent, _, leaf = name.rpartition(".to_")
    if leaf == "out":
        yield f"{name}.0"
    if leaf in {"q", "k", "v", "out"}:
        yield from text_spellings(f"{parent}.{leaf}_proj")


def unknown_module(name: str, component: str, modules: Modules, *, file: Path) -> AdapterFileError:
    """Return the error for a name that no module has."""
    close = difflib.get_close_matches(name[:LONGEST_NAME], modules, n=1, cutoff=0.0)
    return AdapterFileError(
        f"{str(file)!r} changes {shorten(name, limit=LONGEST_NAME)} of the {component}, where there is no linear layer "
        f"or convolution of that name; the nearest is {' or '.join(map(repr, close)) or 'none at all'}. "
        "Was the adapter made for another model?"
    )
