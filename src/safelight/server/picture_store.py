"""Pictures kept in memory for a while, which URLs name."""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StoredPicture:
    """A picture file and its media type."""

    content: bytes
    media_type: str


class PictureStore:
    """Holds the latest pictures, up to a number and a sum of bytes; the oldest are dropped first."""

    def __init__(self, *, max_pictures: int, max_bytes: int) -> None:
        self._max_pictures = max_pictures
        self._max_bytes = max_bytes
        self._bytes = 0
        self._pictures: OrderedDict[str, StoredPicture] = OrderedDict()

    def put(self, picture_id: str, picture: StoredPicture) -> None:
        """Keep `picture` under an id that is not in use."""
        self._pictures[picture_id] = picture
        self._bytes += len(picture.content)
        while len(self._pictures) > self._max_pictures or (self._bytes > self._max_bytes and len(self._pictures) > 1):
            _, oldest = self._pictures.popitem(last=False)
            self._bytes -= len(oldest.content)

    def get(self, picture_id: str) -> StoredPicture | None:
        """Return the picture, or None if it is unknown or was dropped."""
        return self._pictures.get(picture_id)
