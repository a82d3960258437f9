"""One owner cannot push out what another keeps within its share."""

from hypothesis import given
from hypothesis import strategies as st

from safelight.server.fair_store import FairStore

PUTS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=60)


def filled(puts, *, max_items=10, max_bytes=100):
    """A store, and the names that each owner has put."""
    store, names = FairStore(max_items=max_items, max_bytes=max_bytes), {}
    for number, (owner, size) in enumerate(puts):
        names.setdefault(owner, []).append(str(number))
        store.put(owner, str(number), (number, size), size_bytes=size)
    return store, names


def kept(store, names):
    return {owner: [store.get(owner, name) for name in own if store.get(owner, name)] for owner, own in names.items()}


def test_one_owner_alone_has_the_whole_store():
    assert len(kept(*filled([("a", 1)] * 20))["a"]) == 10


def test_a_flood_takes_nothing_from_an_owner_within_its_share():
    store, names = filled([("quiet", 10)] * 4 + [("loud", 20)] * 50)
    assert len(kept(store, names)["quiet"]) == 4


def test_what_is_kept_of_an_owner_is_its_latest():
    assert kept(*filled([("a", 1)] * 12))["a"] == [(number, 1) for number in range(2, 12)]


@given(puts=PUTS)
def test_number_and_bytes_stay_within_the_limits(puts):
    items = [item for own in kept(*filled(puts)).values() for item in own]
    assert len(items) <= 10
    assert sum(size for _, size in items) <= 100


@given(puts=PUTS)
def test_an_owner_below_an_equal_share_of_the_bytes_and_items_keeps_all(puts):
    store, names = filled(puts)
    found = kept(store, names)
    sizes = {owner: [size for who, size in puts if who == owner] for owner in names}
    modest = [owner for owner in names if sum(sizes[owner]) <= 100 / 3 and len(sizes[owner]) <= 10 / 3]
    assert {owner: len(found[owner]) for owner in modest} == {owner: len(sizes[owner]) for owner in modest}


def test_owners_do_not_share_names():
    store = FairStore(max_items=10, max_bytes=100)
    store.put("a", "name", "of a", size_bytes=1)
    assert store.get("b", "name") is None
    store.put("b", "name", "of b", size_bytes=1)
    assert store.get("a", "name") == "of a"


def test_an_item_takes_the_place_of_one_of_its_name():
    store = FairStore(max_items=10, max_bytes=100)
    for size in (60, 70):
        store.put("a", "name", size, size_bytes=size)
    assert store.get("a", "name") == 70
    store.drop("a", "name")
    assert store.find("name") is None
