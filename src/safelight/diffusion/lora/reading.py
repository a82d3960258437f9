"""Reading a LoRA of any known format for the layers of a model."""

from pathlib import Path

from safelight.core.errors import AdapterFileError, shorten
from safelight.diffusion.lora.diffusers_file import DIFFUSERS_FILE
from safelight.diffusion.lora.kohya_file import KOHYA_FILE
from safelight.diffusion.lora.names import OTHER_METHODS, unreadable
from safelight.diffusion.lora.pairs import assemble
from safelight.diffusion.lora.peft_folder import PEFT_FOLDER
from safelight.diffusion.lora.source import Source, open_source
from safelight.diffusion.lora.targets import Targets
from safelight.diffusion.lora.weights import LoraWeights

READERS = (PEFT_FOLDER, KOHYA_FILE, DIFFUSERS_FILE)
"""All formats, in the order in which they are tried."""


def read_lora(path: Path, targets: Targets) -> LoraWeights:
    """Read the LoRA in the file or folder at `path`, which must fit a model with these layers.

    The weights are copies on the CPU, in the dtypes of the file.

    Raises:
        AdapterFileError: if the adapter is missing, damaged, not allowed, or made for another model.
    """
    source = open_source(path)
    reader = next((reader for reader in READERS if reader.recognises(source)), None)
    if reader is None:
        raise _not_recognised(source)
    return assemble(reader.pairs(source, targets), targets, path=path)


def _not_recognised(source: Source) -> AdapterFileError:
    if source.single is None:
        files = ", ".join(repr(file.name) for file in source.weights)
        return AdapterFileError(
            f"{str(source.path)!r} holds several weights files, {files}; name the one that is meant."
        )
    for key in source.single.shapes:
        if any(mark in key for mark in OTHER_METHODS):
            return unreadable(source.single, key)
    return AdapterFileError(
        f"{str(source.path)!r} holds no LoRA that Safelight knows: its tensors are called "
        f"{shorten(sorted(source.single.shapes)[:3], limit=200)}; "
        f"it reads a {', a '.join(reader.name for reader in READERS)}."
    )
