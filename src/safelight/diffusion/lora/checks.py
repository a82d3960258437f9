"""What may lie on disk where an adapter is said to be: a few plain files, none of them able to run code."""

import stat
from collections.abc import Iterator
from pathlib import Path

from safelight.core.errors import AdapterFileError

LARGEST_FILE_BYTES = 2 << 30
LARGEST_HEADER_BYTES = 16 << 20
MOST_ENTRIES = 256
PICKLE_SUFFIXES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
ZIP_MAGIC = b"PK\x03\x04"
PICKLE_OPENINGS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


def adapter_files(path: Path) -> tuple[Path, ...]:
    """Return every file of the adapter at `path`, which is a file or a folder; none has been opened.

    Raises:
        AdapterFileError: if there is nothing, too much, a link, a pickle, or anything but plain files of a sane size.
    """
    files, pending, entries = [], [path], 0
    while pending:
        entry = pending.pop()
        entries += 1
        if entries > MOST_ENTRIES:
            raise AdapterFileError(
                f"{str(path)!r} holds more than {MOST_ENTRIES} files; name a folder that holds one adapter alone."
            )
        if _is_folder(entry, within=path):
            pending.extend(_children(entry))
        else:
            files.append(entry)
    return tuple(sorted(files))


def _children(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError as error:
        raise AdapterFileError(f"The folder {str(folder)!r} cannot be looked into: {error}.") from None


def _is_folder(entry: Path, *, within: Path) -> bool:
    try:
        facts = entry.lstat()
    except (OSError, ValueError) as error:
        raise AdapterFileError(f"There is no adapter at {str(entry)!r} ({error}); name a file or a folder.") from None
    if stat.S_ISLNK(facts.st_mode):
        raise _linked(entry, within)
    if stat.S_ISDIR(facts.st_mode):
        return True
    if not stat.S_ISREG(facts.st_mode):
        raise AdapterFileError(f"{str(entry)!r} is neither a file nor a folder; an adapter is made of plain files.")
    if entry.suffix.lower() in PICKLE_SUFFIXES:
        raise _pickled(entry)
    if facts.st_size > LARGEST_FILE_BYTES:
        raise AdapterFileError(
            f"{str(entry)!r} has {facts.st_size} bytes; an adapter's file may have {LARGEST_FILE_BYTES}."
        )
    return False


def _linked(entry: Path, within: Path) -> AdapterFileError:
    try:
        goal = entry.resolve()
    except (OSError, RuntimeError):
        goal = entry
    where = "" if goal.is_relative_to(within.absolute().parent.resolve() / within.name) else ", outside of the adapter"
    return AdapterFileError(
        f"{str(entry)!r} is a symbolic link to {str(goal)!r}{where}; Safelight follows no links. "
        "Copy the file itself, for instance with `cp -L`."
    )


def _pickled(file: Path) -> AdapterFileError:
    return AdapterFileError(
        f"{str(file)!r} is a pickle, which can run any code when it is opened; Safelight reads safetensors only. "
        "Take it away, or convert it where you trust it with `safetensors.torch.save_file`."
    )


def check_opening(file: Path) -> None:
    """Make sure by its first bytes that `file` is safetensors with a header of a sane size.

    Raises:
        AdapterFileError: if it is a pickle in disguise, or no safetensors.
    """
    try:
        with file.open("rb") as stream:
            opening = stream.read(9)
    except OSError as error:
        raise AdapterFileError(f"{str(file)!r} cannot be read: {error}.") from None
    if opening.startswith(ZIP_MAGIC) or (opening.startswith(PICKLE_OPENINGS) and opening[8:] != b"{"):
        raise _pickled(file)
    if opening[8:] != b"{":
        raise AdapterFileError(f"{str(file)!r} is no safetensors file, or is damaged; fetch it again.")
    header_bytes = int.from_bytes(opening[:8], "little")
    if header_bytes > LARGEST_HEADER_BYTES:
        raise AdapterFileError(
            f"{str(file)!r} says that its header has {header_bytes} bytes; it may have {LARGEST_HEADER_BYTES}."
        )
