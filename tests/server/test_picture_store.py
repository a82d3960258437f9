"""Kept pictures are bounded by number and by bytes."""

from safelight.server.picture_store import PictureStore, StoredPicture


def stored(*sizes, max_pictures=10, max_bytes=100):
    store = PictureStore(max_pictures=max_pictures, max_bytes=max_bytes)
    for number, size in enumerate(sizes):
        store.put(str(number), StoredPicture(content=b"x" * size, media_type="image/png"))
    return [number for number in range(len(sizes)) if store.get(str(number))]


def test_the_oldest_picture_leaves_when_there_are_too_many():
    assert stored(1, 1, 1, max_pictures=2) == [1, 2]


def test_as_many_leave_as_the_bytes_demand():
    assert stored(40, 40, 90) == [2]


def test_the_latest_picture_stays_however_large():
    assert stored(10, 500) == [1]
