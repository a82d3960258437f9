"""kohya's single files: `lora_unet_down_blocks_0_....lora_down.weight`, with an alpha for each layer."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from safelight.core.errors import AdapterFileError, shorten
from safelight.diffusion.lora.kohya_names import PREFIXES, kohya_names
from safelight.diffusion.lora.names import Role, alphas_of, gather
from safelight.diffusion.lora.pairs import Pair
from safelight.diffusion.lora.reader import Reader
from safelight.diffusion.lora.source import Source
from safelight.diffusion.lora.targets import Modules, Targets, modules_of, unknown_module
from safelight.diffusion.lora.tensor_file import TensorFile

ENDINGS = {".lora_down.weight": Role.DOWN, ".lora_up.weight": Role.UP, ".alpha": Role.ALPHA}


def _recognises(source: Source) -> bool:
    return source.single is not None and any(key.startswith(tuple(PREFIXES)) for key in source.single.shapes)


def _pairs(source: Source, targets: Targets) -> Sequence[Pair]:
    file = source.single
    assert file is not None
    names = {component: kohya_names(component, modules) for component, modules in targets.items()}
    layers = gather(file, ENDINGS)
    alphas = alphas_of(file, layers)
    pairs: list[Pair] = []
    for name, layer in layers.items():
        component, short = _component(name, targets, file=file.path)
        modules = modules_of(component, targets, file=file.path)
        if short not in names[component]:
            raise unknown_module(short, component, modules, file=file.path)
        own = {path: modules[path] for path in names[component][short]}
        pairs += _pairs_of_layer(file, layer, component, own, alpha=alphas.get(name))
    return pairs


def _component(name: str, targets: Targets, *, file: Path) -> tuple[str, str]:
    """Return the component that a layer's name begins with, and the rest of the name."""
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
    if prefix is None:
        raise AdapterFileError(
            f"{str(file)!r} holds a layer called {shorten(name)}; beside its others it must begin with one of "
            f"{', '.join(PREFIXES)}."
        )
    meant = PREFIXES[prefix]
    return next((component for component in meant if component in targets), meant[0]), name.removeprefix(prefix)


def _pairs_of_layer(
    file: TensorFile, layer: Mapping[Role, str], component: str, modules: Modules, *, alpha: float | None
) -> Iterator[Pair]:
    """Yield one pair for each of the modules that the layer is made of."""
    up = layer[Role.UP]
    rows = list(_rows(modules))
    if len(rows) > 1 and file.shapes[up][:1] != (rows[-1].stop,):
        raise AdapterFileError(
            f"{str(file.path)!r} has {up!r} of shape {file.shapes[up]}, but the modules that it stands for, "
            f"{', '.join(modules)}, have {rows[-1].stop} rows together."
        )
    for module, own in zip(modules, rows, strict=True):
        yield Pair(
            component=component,
            module=module,
            file=file,
            down=layer[Role.DOWN],
            up=up,
            alpha=alpha,
            rows=own if len(rows) > 1 else None,
        )


def _rows(modules: Modules) -> Iterator[range]:
    heights = (shape[0] for shape in modules.values())
    return (range(start, stop) for start, stop in pairwise(accumulate(heights, initial=0)))


KOHYA_FILE = Reader(name="kohya file", recognises=_recognises, pairs=_pairs)
