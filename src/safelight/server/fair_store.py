"""A bounded store for several owners, in which none of them can push out what another one keeps within its share."""

from collections import OrderedDict
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairStore(Generic[Item]):
    """Holds the latest items, up to a number and a sum of bytes.

    When there are too many, the owner that holds the most loses its oldest one. So one owner alone may use the whole
    store, and an owner that holds less than an equal share loses nothing. The last item of all stays, however large.
    """

    def __init__(self, *, max_items: int, max_bytes: int) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._of_owner: OrderedDict[str, OrderedDict[str, tuple[Item, int]]] = OrderedDict()
        self._bytes_of_owner: dict[str, int] = {}

    def put(self, owner: str, name: str, item: Item, *, size_bytes: int) -> None:
        """Keep an item, in the place of one of the same owner and name."""
        self.drop(owner, name)
        self._of_owner.setdefault(owner, OrderedDict())[name] = (item, size_bytes)
        self._of_owner.move_to_end(owner)
        self._bytes_of_owner[owner] = self._bytes_of_owner.get(owner, 0) + size_bytes
        self._trim()

    def get(self, owner: str, name: str) -> Item | None:
        """Return an item, or None if it is unknown or was dropped."""
        items = self._of_owner.get(owner)
        return None if items is None or name not in items else items[name][0]

    def find(self, name: str) -> Item | None:
        """Return an item of this name, whoever owns it."""
        return next((items[name][0] for items in self._of_owner.values() if name in items), None)

    def drop(self, owner: str, name: str) -> None:
        """Forget an item, if it is there."""
        items = self._of_owner.get(owner)
        if items is None or name not in items:
            return
        self._bytes_of_owner[owner] -= items.pop(name)[1]
        if not items:
            del self._of_owner[owner], self._bytes_of_owner[owner]

    def _trim(self) -> None:
        while (count := sum(map(len, self._of_owner.values()))) > 1:
            if sum(self._bytes_of_owner.values()) > self._max_bytes:
                largest = max(self._of_owner, key=self._bytes_of_owner.__getitem__)
            elif count > self._max_items:
                largest = max(self._of_owner, key=lambda owner: len(self._of_owner[owner]))
            else:
                return
            self.drop(largest, next(iter(self._of_owner[largest])))
