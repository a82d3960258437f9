"""Loads: of files of different sizes, so that what is the same for all is told from what grows with bytes."""

import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save_file

from safelight.diffusion.families.registry import family_of
from safelight.diffusion.placement import Placement
from safelight.profiles.parts import LoadTime, LoadTimes
from safelight.worker.calibration.timing import once, timed

_WEIGHTS = "*.safetensors"
_MODULE_END = ".lora"


def line_through(small: tuple[int, float] | None, large: tuple[int, float]) -> LoadTime:
    """Return the line through bytes and seconds of two loads; with one of them, all seconds are by bytes."""
    weights_bytes, seconds = large
    if small is None or small[0] >= weights_bytes:
        return LoadTime(s_per_byte=seconds / weights_bytes)
    slope = max(0.0, (seconds - small[1]) / (weights_bytes - small[0]))
    return LoadTime(constant_s=max(0.0, seconds - slope * weights_bytes), s_per_byte=slope)


def smaller_lora(path: Path, folder: Path) -> Path | None:
    """Write a LoRA with only the first module of another into `folder`; None if that has one module only.

    Args:
        path: a safetensors file, or a folder with one and its settings.
        folder: that is empty.
    """
    made = folder / path.name
    if path.is_dir():
        shutil.copytree(path, made)
    else:
        shutil.copyfile(path, made)
    files = [made] if made.is_file() else sorted(made.rglob(_WEIGHTS))
    if len(files) != 1:
        return None
    tensors = load_file(files[0])
    module = min((name for name in tensors if _MODULE_END in name), default="").split(_MODULE_END)[0]
    kept = {name: tensor for name, tensor in tensors.items() if name.startswith(f"{module}.")}
    if not kept or len(kept) == len(tensors):
        return None
    save_file(kept, files[0])
    return made


def model_loads(folder: Path, *, placement: Placement, wait: Callable[[], None]) -> LoadTimes:
    """Return the loads of a model: reading its files, and building it on the device, whose seconds are constant."""
    files = sorted(folder.glob(f"*/{_WEIGHTS}"))
    weights_bytes = sum(file.stat().st_size for file in files)
    read_s = timed(lambda: [load_file(file) for file in files], wait=wait, repeats=3).typical_s
    whole_s = once(lambda: family_of(folder).load(folder, placement=placement), wait=wait)
    return LoadTimes(
        disk=LoadTime(s_per_byte=read_s / weights_bytes), host=LoadTime(constant_s=max(0.0, whole_s - read_s))
    )
