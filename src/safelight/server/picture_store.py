"""Pictures kept in memory for a while, which URLs name."""

from dataclasses import dataclass

from safelight.server.fair_store import FairStore


@dataclass(frozen=True, kw_only=True)
class StoredPicture:
    """A picture file, its media type, and the tenant that it was painted for."""

    content: bytes
    media_type: str
    tenant: str = ""


class PictureStore:
    """Holds the latest pictures, up to a number and a sum of bytes, shared fairly by tenants."""

    def __init__(self, *, max_pictures: int, max_bytes: int) -> None:
        self._kept: FairStore[StoredPicture] = FairStore(max_items=max_pictures, max_bytes=max_bytes)

    def put(self, picture_id: str, picture: StoredPicture) -> None:
        """Keep `picture` under an id that is not in use."""
        self._kept.put(picture.tenant, picture_id, picture, size_bytes=len(picture.content))

    def get(self, picture_id: str) -> StoredPicture | None:
        """Return the picture, or None if it is unknown or was dropped."""
        return self._kept.find(picture_id)
