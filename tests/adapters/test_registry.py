import pytest

from adapters.makers import MODEL, OTHER_MODEL, controlnet, handle, lora
from safelight.adapters.registry import AdapterRegistry
from safelight.core.adapter import AdapterUse, composition_of
from safelight.core.errors import AdapterExists, AdapterMisfit, InvalidParameter, TooManyAdapters, UnknownAdapter


@pytest.fixture
def registry():
    registry = AdapterRegistry(max_per_picture=3)
    for spec in (lora("outline"), lora("pastel"), lora("tiny", model=OTHER_MODEL), controlnet("edges")):
        registry.add(spec)
    return registry


def acquire(registry, *names, kind="lora", model=MODEL):
    return registry.acquire(names, kind=kind, model=model)


def handles(adapters):
    return [adapter.handle for adapter in adapters]


def test_adapters_are_listed_by_name(registry):
    assert [adapter.spec.name for adapter in registry.registered] == ["edges", "outline", "pastel", "tiny"]


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "-x", "x" * 64, "0"])
def test_a_plain_name_is_taken(registry, name):
    assert registry.add(lora(name)).spec.name == name


@pytest.mark.parametrize("name", ["", ".", ".hidden", "../up", "a/b", "a b", "a@1", "x" * 65, "ä", "a\n", "a\0"])
def test_a_name_that_could_be_anything_else_is_refused(registry, name):
    with pytest.raises(InvalidParameter, match="up to 64 letters"):
        registry.add(lora(name))


def test_a_name_is_given_once(registry):
    with pytest.raises(AdapterExists, match="'outline' already"):
        registry.add(lora("outline"))


def test_an_unknown_name_is_answered_with_those_that_would_fit(registry):
    with pytest.raises(UnknownAdapter, match=r"No adapter named 'neon'; there is 'outline', 'pastel'\. Register it"):
        acquire(registry, "neon")


def test_an_adapter_of_another_model_is_refused(registry):
    with pytest.raises(
        AdapterMisfit, match=r"'tiny' is a lora for 'shapes-small', so .* as a lora with 'shapes-large'"
    ):
        acquire(registry, "tiny")


def test_a_controlnet_is_no_lora(registry):
    with pytest.raises(AdapterMisfit, match="'edges' is a controlnet for 'shapes-large'"):
        acquire(registry, "edges")


def test_more_adapters_than_a_picture_may_have_are_refused(registry):
    with pytest.raises(TooManyAdapters, match="loras names 4 adapters; a picture may have at most 3"):
        acquire(registry, *["outline"] * 4)


def test_a_row_that_is_refused_binds_nothing(registry):
    with pytest.raises(UnknownAdapter):
        acquire(registry, "outline", "neon")
    assert handles(registry.remove("outline")) == [handle("outline")]


def test_a_row_holds_an_adapter_once_however_often_it_names_it(registry):
    lease = acquire(registry, "outline", "outline")
    assert registry.rows(handle("outline")) == 1
    registry.release(lease)
    assert registry.rows(handle("outline")) == 0


def test_a_lease_is_released_once(registry):
    lease = acquire(registry, "outline")
    registry.release(lease)
    with pytest.raises(AssertionError, match="released once"):
        registry.release(lease)


def test_a_removed_adapter_is_not_found_by_new_rows(registry):
    acquire(registry, "outline")
    registry.remove("outline")
    with pytest.raises(UnknownAdapter):
        acquire(registry, "outline")


def test_the_weights_of_a_removed_adapter_go_with_its_last_row(registry):
    first, last = acquire(registry, "outline"), acquire(registry, "outline", "pastel")
    assert registry.remove("outline") == ()
    assert handles(registry.draining) == [handle("outline")]
    assert registry.release(first) == ()
    assert handles(registry.release(last)) == [handle("outline")]
    assert registry.draining == ()


def test_an_adapter_that_is_not_there_cannot_be_removed(registry):
    with pytest.raises(UnknownAdapter, match="did you mean 'outline'"):
        registry.remove("outlin")


def test_a_name_that_is_given_again_means_new_weights_to_new_rows_only(registry):
    old = acquire(registry, "outline")
    registry.remove("outline")
    registry.add(lora("outline", rank=4))
    new = acquire(registry, "outline")
    assert old.handle("outline") != new.handle("outline")
    assert handles(registry.release(old)) == [old.handle("outline")]
    assert registry.release(new) == ()


def test_a_lease_names_the_weights_by_the_names_that_were_asked_for(registry):
    lease = acquire(registry, "pastel", "outline")
    assert lease.handles == (handle("outline", 1), handle("pastel", 2))
    assert lease.handle("pastel") == handle("pastel", 2)


def test_compositions_of_two_generations_are_never_equal(registry):
    def outlined():
        return composition_of([AdapterUse(handle=acquire(registry, "outline").handle("outline"), scale=1.0)])

    old = outlined()
    registry.remove("outline")
    registry.add(lora("outline"))
    assert outlined() != old


def test_a_handle_that_was_given_before_is_kept(registry):
    given = registry.next_handle("neon")
    assert registry.add(lora("neon"), handle=given).handle == given
