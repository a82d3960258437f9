"""The keys file: one line per key, `TENANT ROLE sha256:HEX`; `#` begins a comment.

Several lines may name one tenant, so that a key can be replaced without a pause. The file holds hashes only.

SafelightError
├── KeysFileError     the file cannot be read, written or understood
└── UnknownKey        there is no such key to remove
"""

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safelight.access.caller import ROLES, Role
from safelight.access.keys import KeyEntry, digest_of, new_key
from safelight.core.errors import InvalidParameter, SafelightError, nearest, shorten

MAX_FILE_BYTES: Final = 1 << 20
NEW_FILE_MODE: Final = 0o600
HASH_PREFIX: Final = "sha256:"

TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TENANT_RULE: Final = "up to 64 letters, digits, '.', '_' and '-', beginning with a letter or a digit"

_HEADER: Final = b"# Keys of Safelight: TENANT ROLE sha256:HEX, one line per key. `safelight keys --help` says more.\n"
_HASH: Final = re.compile(r"sha256:([0-9a-fA-F]{64})")
_BARE_HASH: Final = re.compile(r"[0-9a-fA-F]{64}")
_FIELDS: Final = 3


class KeysFileError(SafelightError):
    """A keys file that cannot be used; the message never shows what the line holds, since that may be a key."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The keys file {str(path)!r} cannot be used: {reason}.")


class UnknownKey(SafelightError):
    """A keys file has no key of this tenant, or not this key of it."""

    def __init__(self, tenant: str, key_id: str | None, entries: Sequence[KeyEntry]) -> None:
        ids = [entry.id for entry in entries if entry.tenant == tenant]
        names = sorted({entry.tenant for entry in entries})
        if ids:
            message = f"{tenant} has no key {shorten(key_id)}; {nearest(str(key_id), ids)}"
        else:
            message = f"No tenant named {shorten(tenant)} has a key; {nearest(tenant, names)}"
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line of the file; `entry` is None for one without a key."""

    number: int
    text: str
    entry: KeyEntry | None


def read_keys(path: Path) -> tuple[KeyEntry, ...]:
    """Return the keys of a file; raises KeysFileError."""
    return parse_keys(read_content(path), path)


def read_content(path: Path) -> bytes:
    """Return what the file holds; raises KeysFileError for one that cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise KeysFileError(path, "it is no regular file")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeysFileError(path, error.strerror or type(error).__name__) from error
    if len(content) > MAX_FILE_BYTES:
        raise KeysFileError(path, f"it has more than {MAX_FILE_BYTES:,} bytes")
    return content


def parse_keys(content: bytes, path: Path) -> tuple[KeyEntry, ...]:
    """Return the keys in `content`.

    Raises:
        KeysFileError: for a line that names no key, a key that is there twice, and an empty file, which is more
            likely half written than meant; a comment alone says that there are no keys.
    """
    if not content.strip():
        raise KeysFileError(path, "it is empty; `safelight keys add` adds a key")
    lines: dict[bytes, int] = {}
    entries: list[KeyEntry] = []
    for line in _lines(content, path):
        if line.entry is None:
            continue
        first = lines.setdefault(line.entry.digest, line.number)
        if first != line.number:
            raise KeysFileError(path, f"line {line.number} ({line.entry.tenant}) has the same key as line {first}")
        entries.append(line.entry)
    return tuple(entries)


def looseness(path: Path) -> str | None:
    """Return the mode of the file if other users of this machine may read or change it."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    return f"{stat.S_IMODE(mode):04o}" if mode & (stat.S_IRWXO | stat.S_IWGRP) else None


def add_key(path: Path, tenant: str, role: Role) -> tuple[str, KeyEntry]:
    """Make a key and write its hash into the file, which is made if it is absent; returns the key and its entry.

    Raises:
        InvalidParameter: if `tenant` cannot be a name.
        KeysFileError: if the file cannot be read or written.
    """
    if not TENANT.fullmatch(tenant):
        raise InvalidParameter("tenant", tenant, f"it must be {TENANT_RULE}")
    key = new_key()
    entry = KeyEntry(tenant=tenant, role=role, digest=digest_of(key.encode()))

    def with_entry(lines: Sequence[_Line]) -> list[str]:
        return [*(line.text for line in lines), f"{tenant} {role} {HASH_PREFIX}{entry.digest.hex()}"]

    _rewrite(path, with_entry, may_be_absent=True)
    return key, entry


def remove_keys(path: Path, tenant: str, key_id: str | None = None) -> tuple[KeyEntry, ...]:
    """Delete the keys of a tenant from the file, or the one of this id; returns what was deleted.

    Raises:
        UnknownKey: if there is none.
        KeysFileError: if the file cannot be read or written.
    """
    removed: list[KeyEntry] = []

    def is_meant(entry: KeyEntry | None) -> bool:
        return entry is not None and entry.tenant == tenant and key_id in {None, entry.id}

    def without_entries(lines: Sequence[_Line]) -> list[str]:
        removed.extend(line.entry for line in lines if line.entry is not None and is_meant(line.entry))
        if not removed:
            raise UnknownKey(tenant, key_id, [line.entry for line in lines if line.entry is not None])
        return [line.text for line in lines if not is_meant(line.entry)]

    _rewrite(path, without_entries)
    return tuple(removed)


def _lines(content: bytes, path: Path) -> list[_Line]:
    lines = content.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").split(b"\n")
    return [_line(line, number, path) for number, line in enumerate(lines, 1)]


def _line(content: bytes, number: int, path: Path) -> _Line:
    """Read one line; no error shows what the fields hold, since a field in the wrong place may be a key."""
    try:
        text = content.decode().removesuffix("\r")
    except UnicodeDecodeError:
        raise KeysFileError(path, f"line {number} is not UTF-8 text") from None
    fields = text.partition("#")[0].split()
    if not fields:
        return _Line(number=number, text=text, entry=None)
    if len(fields) != _FIELDS:
        raise KeysFileError(path, f"line {number} has {len(fields)} fields instead of TENANT ROLE {HASH_PREFIX}HEX")
    tenant, role, stored = fields
    if not TENANT.fullmatch(tenant):
        raise KeysFileError(path, f"the tenant of line {number} is not {TENANT_RULE}")
    known = {name: name for name in ROLES}
    if role not in known:
        raise KeysFileError(path, f"the role of line {number} ({tenant}) is none of {', '.join(ROLES)}")
    match = _HASH.fullmatch(stored)
    if match is None:
        raise KeysFileError(path, _no_hash(stored, number, tenant, path))
    entry = KeyEntry(tenant=tenant, role=known[role], digest=bytes.fromhex(match[1]))
    return _Line(number=number, text=text, entry=entry)


def _no_hash(stored: str, number: int, tenant: str, path: Path) -> str:
    if _BARE_HASH.fullmatch(stored):
        return f"the hash of line {number} ({tenant}) does not begin with {HASH_PREFIX!r}"
    return (
        f"line {number} ({tenant}) has no hash {HASH_PREFIX}HEX of 64 digits. If it holds a key in plain text, delete "
        f"the line and take a new key: `safelight keys add {tenant} --file {path}`"
    )


def _rewrite(path: Path, change: Callable[[Sequence[_Line]], list[str]], *, may_be_absent: bool = False) -> None:
    """Replace the file by its changed lines in one step, while no other command does; raises KeysFileError."""
    target = path.resolve()
    try:
        with _locked(target.parent):
            exists = target.exists()
            content = read_content(target) if exists or not may_be_absent else b""
            lines = _lines(content if content.strip() else _HEADER, path)
            _replace(target, "\n".join(change(lines)) + "\n", target.stat() if exists else None)
    except OSError as error:
        raise KeysFileError(path, error.strerror or type(error).__name__) from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Exclude other commands that change a keys file in `folder`, where the system can do that."""
    try:
        import fcntl  # noqa: PLC0415 - of Unix only
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: str, before: os.stat_result | None) -> None:
    """Write a file that is complete or absent, and that only those can read who could before; others never."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(_mode(before))
        if before is not None and (before.st_uid, before.st_gid) != (os.getuid(), os.getgid()):
            with contextlib.suppress(PermissionError):
                os.chown(name, before.st_uid, before.st_gid)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _mode(before: os.stat_result | None) -> int:
    """Return 0600; a group that was let in deliberately, which means without all others, may still read."""
    if before is None or before.st_mode & stat.S_IRWXO:
        return NEW_FILE_MODE
    return NEW_FILE_MODE | (before.st_mode & stat.S_IRGRP)
