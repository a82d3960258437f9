import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latents.makers import an_entry
from safelight.latents.directory import ReuseDirectory
from safelight.latents.limits import ReuseLimits

NOW = 100.0
PROMPT = "a red circle above a blue square"


def directory(*entries, **limits):
    made = ReuseDirectory(ReuseLimits(**{"max_bytes": 1000} | limits))
    for entry in entries:
        made.add(entry, NOW)
    return made


def test_the_same_request_finds_its_picture():
    assert directory(an_entry()).exact(["other", "key"], NOW).id == "one"


def test_nothing_is_found_after_its_time():
    made = directory(an_entry(), ttl_s=10.0)
    assert made.exact(["key"], NOW + 10.1) is None
    assert made.near(["p"], PROMPT, NOW + 10.1).entry is None
    assert made.near(["p"], PROMPT, NOW + 9.9).entry is not None


def test_a_similar_prompt_of_another_partition_finds_nothing():
    assert directory(an_entry()).near(["q"], PROMPT, NOW).entry is None


def test_a_veto_passes_over_the_nearest_picture_and_is_told():
    made = directory(an_entry(), an_entry(id="two", exact_key="k2", prompt=PROMPT.replace("red", "green")))
    near = made.near(["p"], "a fine " + PROMPT.replace("red", "green"), NOW)
    assert (near.entry.id, near.vetoed) == ("two", None)
    assert made.near(["p"], PROMPT.replace("red", "white"), NOW).vetoed == "colours"


def test_an_entry_serves_a_bounded_number_of_pictures_but_its_own_request_always():
    made = directory(an_entry(), max_uses=2)
    for _ in range(2):
        made.used("one", steps_saved=5, now=NOW)
    assert made.near(["p"], PROMPT, NOW).entry is None
    assert made.exact(["key"], NOW, has_free_seed=True) is None
    assert made.exact(["key"], NOW) is not None


def test_a_draw_chooses_among_neighbours_that_are_as_good():
    made = directory(*(an_entry(id=str(number), exact_key=str(number)) for number in range(3)))
    assert {made.near(["p"], PROMPT, NOW, draw=draw).entry.id for draw in range(3)} == {"0", "1", "2"}


def test_the_same_request_again_replaces_its_picture():
    made = directory(an_entry(), an_entry(id="two"))
    assert [entry.id for entry in made] == ["two"]
    assert made.size_bytes == 10


def test_an_entry_larger_than_its_tenants_part_is_not_kept():
    assert [each.id for each in directory(tenants=200).add(an_entry(), NOW)] == ["one"]


def test_tenants_beyond_the_parts_keep_nothing():
    made = directory(an_entry(), tenants=1)
    stranger = an_entry(id="two", owner="bob", exact_key="k2")
    assert not made.admits("bob")
    assert made.add(stranger, NOW) == (stranger,)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [({"owner": "alice"}, ["b"]), ({"prompt": "x"}, ["a"]), ({"owner": "bob", "prompt": "y"}, ["a", "ax", "b"])],
)
def test_pictures_are_purged_by_tenant_or_by_prompt(asked, kept):
    made = directory(
        an_entry(id="a", exact_key="1"),
        an_entry(id="ax", exact_key="2", prompt="x"),
        an_entry(id="b", exact_key="3", prompt="x", owner="bob"),
        tenants=2,
    )
    gone = made.purge(**asked)
    assert sorted(entry.id for entry in made) == kept
    assert len(gone) == 3 - len(kept)


entries = st.builds(
    an_entry,
    id=st.integers(0, 30).map(str),
    owner=st.sampled_from(["alice", "bob", "carol"]),
    prompt=st.sampled_from(["a cat", "a dog", "a tall tree"]),
    partition=st.sampled_from(["p", "q"]),
    size_bytes=st.integers(1, 40),
).map(lambda entry: msgspec.structs.replace(entry, exact_key=entry.id))


@settings(max_examples=60)
@given(added=st.lists(entries, max_size=40), tenants=st.integers(1, 3))
def test_no_tenant_exceeds_its_part_whatever_is_added(added, tenants):
    made = directory(max_bytes=300, tenants=tenants)
    for entry in added:
        if entry.id not in made:
            made.add(entry, NOW)
    for owner in ("alice", "bob", "carol"):
        assert made.bytes_of(owner) == sum(entry.size_bytes for entry in made if entry.owner == owner)
        assert made.bytes_of(owner) <= 300 // tenants
    assert len({entry.owner for entry in made}) <= tenants


@settings(max_examples=60)
@given(added=st.lists(entries, max_size=40))
def test_covert_channel_what_others_do_never_moves_a_tenants_pictures(added):
    both, alone = directory(max_bytes=300, tenants=3), directory(max_bytes=300, tenants=3)
    for entry in added:
        if entry.id not in both:
            both.add(entry, NOW)
            both.used(entry.id, steps_saved=5, now=NOW)
            if entry.owner == "alice":
                alone.add(entry, NOW)
                alone.used(entry.id, steps_saved=5, now=NOW)
    assert [entry.id for entry in both if entry.owner == "alice"] == [entry.id for entry in alone]
