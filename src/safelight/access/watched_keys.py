"""The keys file as a running server sees it: read again and again, and kept as it was while it is broken."""

from dataclasses import dataclass
from pathlib import Path

from safelight.access.keys import KeyRing
from safelight.access.keys_file import KeysFileError, parse_keys, read_content


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysChange:
    """What a look at the file has shown: other keys, or an error with which the keys stay as they were.

    Attributes:
        added, removed, changed: ids of keys; a changed one has another tenant or role.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    error: KeysFileError | None = None


class WatchedKeys:
    """The keys of a file.

    The whole file is read at each look, and compared: it is small, and neither its time nor its size always shows that
    it has changed.

    Attributes:
        ring: the keys of the last file that was whole.
        is_broken: whether the file cannot be used now.
    """

    def __init__(self, path: Path) -> None:
        """Read the file; raises KeysFileError, also for one without keys, since nobody could use such a server."""
        self.path = path
        self._content: bytes = read_content(path)
        self.ring = KeyRing(parse_keys(self._content, path))
        if not self.ring.entries:
            raise KeysFileError(path, "it has no keys; `safelight keys add` adds one")
        self._trouble = ""

    @property
    def is_broken(self) -> bool:
        return bool(self._trouble)

    def look(self) -> KeysChange | None:
        """Read the file; returns what is new, each error once."""
        try:
            content = read_content(self.path)
            if content == self._content:
                return self._unchanged()
            ring = KeyRing(parse_keys(content, self.path))
        except KeysFileError as error:
            is_known, self._trouble = str(error) == self._trouble, str(error)
            return None if is_known else KeysChange(error=error)
        before, self.ring = self.ring, ring
        self._content = content
        self._trouble = ""
        return _difference(before, ring)

    def _unchanged(self) -> KeysChange | None:
        was_broken, self._trouble = self.is_broken, ""
        return KeysChange() if was_broken else None


def _difference(before: KeyRing, after: KeyRing) -> KeysChange:
    old, new = ({entry.id: entry for entry in ring.entries} for ring in (before, after))
    return KeysChange(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(key for key in new.keys() & old.keys() if new[key] != old[key])),
    )
