"""Keys: how they are made, stored as hashes, and recognized."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from safelight.access.caller import Caller, Role

PREFIX: Final = "sl_"
"""Begins every key that is made here, so that people and scanners recognize one in the wrong place."""

RANDOM_BYTES: Final = 32
LONGEST_KEY: Final = 4096
"""Bytes; a longer credential is no key."""

ID_CHARACTERS: Final = 8
_INDEX_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """What is stored of one key.

    Attributes:
        digest: SHA-256 of the key. A key has 256 random bits, so there is no dictionary to try, and a slow hash would
            only slow down every request.
    """

    tenant: str
    role: Role
    digest: bytes

    @property
    def id(self) -> str:
        """A short name of the key, which does not help to guess it."""
        return self.digest.hex()[:ID_CHARACTERS]


def new_key() -> str:
    """Return a random key."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def digest_of(key: bytes) -> bytes:
    """Return what is stored of `key`."""
    return hashlib.sha256(key).digest()


class KeyRing:
    """The keys that a server accepts."""

    def __init__(self, entries: Iterable[KeyEntry]) -> None:
        self.entries: Sequence[KeyEntry] = tuple(entries)
        self._by_beginning: dict[bytes, list[KeyEntry]] = {}
        for entry in self.entries:
            self._by_beginning.setdefault(entry.digest[:_INDEX_BYTES], []).append(entry)

    @property
    def tenants(self) -> frozenset[str]:
        """The tenants that have a key."""
        return frozenset(entry.tenant for entry in self.entries)

    def caller(self, key: bytes) -> Caller | None:
        """Return whose key this is, or None.

        Digests are found by their first bytes, so the time hardly grows with the number of keys, and the rest is
        compared in constant time. What the look-up may show is about the digest of a guess, which helps no guess.
        """
        if len(key) > LONGEST_KEY:
            return None
        digest = digest_of(key)
        for entry in self._by_beginning.get(digest[:_INDEX_BYTES], ()):
            if hmac.compare_digest(entry.digest, digest):
                return Caller(tenant=entry.tenant, role=entry.role, key=entry.id)
        return None
