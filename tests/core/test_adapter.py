import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterSpec, AdapterUse, Composition, composition_of

scales = st.floats(-4, 4, allow_nan=False)
handles = st.builds(AdapterHandle, name=st.sampled_from("ab"), generation=st.sampled_from([1, 2]))
uses = st.builds(AdapterUse, handle=handles, scale=scales | st.sampled_from([0.0, -0.0, 0.1, -0.1]))
crowds = st.lists(uses, max_size=8)
compositions = st.builds(composition_of, crowds)


def use(name, scale):
    return AdapterUse(handle=AdapterHandle(name=name, generation=1), scale=scale)


@given(crowds, st.randoms(use_true_random=False))
def test_the_order_of_the_uses_does_not_matter(crowd, luck):
    shuffled = luck.sample(crowd, len(crowd))
    assert composition_of(shuffled) == composition_of(crowd)
    assert hash(composition_of(shuffled)) == hash(composition_of(crowd))


@given(compositions)
def test_each_adapter_is_in_it_once_and_none_at_scale_zero(composition):
    assert list(composition.handles) == sorted(set(composition.handles))
    assert all(use.scale != 0 for use in composition.uses)


@given(compositions)
def test_what_is_canonical_stays_as_it_is(composition):
    assert composition_of(composition.uses) == composition


def test_the_same_adapter_twice_adds_up():
    assert composition_of([use("outline", 0.5), use("pastel", 1), use("outline", 0.25)]).uses == (
        use("outline", 0.75),
        use("pastel", 1),
    )


def test_scales_that_cancel_leave_nothing():
    assert composition_of([use("outline", 0.1), use("outline", 0.2), use("outline", -0.1), use("outline", -0.2)]) == (
        NO_ADAPTERS
    )


@given(compositions)
def test_a_composition_less_itself_is_empty(composition):
    assert (composition - composition).is_empty


@given(compositions)
def test_nothing_changes_nothing(composition):
    assert composition + NO_ADAPTERS == composition - NO_ADAPTERS == composition


@given(compositions, compositions)
def test_adding_does_not_depend_on_the_order(one, other):
    assert one + other == other + one


@given(compositions, compositions)
def test_what_a_row_still_needs_makes_up_for_what_is_folded(row, folded):
    sums = {use.handle: use.scale for use in (folded + (row - folded)).uses}
    wanted = {use.handle: use.scale for use in row.uses}
    assert all(sums.get(each, 0.0) == pytest.approx(wanted.get(each, 0.0), abs=1e-12) for each in sums | wanted)


def test_an_adapter_in_both_at_one_scale_needs_no_correction():
    shared = composition_of([use("outline", 1.0), use("pastel", 0.6)])
    assert (shared - composition_of([use("outline", 1.0)])).uses == (use("pastel", 0.6),)


def test_weights_that_had_a_name_before_are_others_than_those_that_have_it_now():
    before, now = (AdapterHandle(name="outline", generation=number) for number in (1, 2))
    uses = [AdapterUse(handle=before, scale=1.0), AdapterUse(handle=now, scale=-1.0)]
    assert composition_of(uses).handles == (before, now)


def test_a_handle_is_written_as_its_name_and_generation():
    assert str(AdapterHandle(name="outline", generation=2)) == "outline@2"


@given(compositions)
def test_a_composition_crosses_the_wire(composition):
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(composition), type=Composition) == composition


def spec(**changes):
    return msgspec.structs.replace(
        AdapterSpec(name="outline", kind="lora", model="shapes-large", weights_bytes=10), **changes
    )


def test_the_rank_of_an_adapter_is_the_largest_in_it():
    assert spec(ranks=(4, 8, 16)).rank == 16


def test_an_adapter_without_ranks_has_rank_zero():
    assert spec(kind="controlnet").rank == 0


@pytest.mark.parametrize(
    ("parts", "touches_text"),
    [(("unet",), False), (("transformer", "text_encoder"), True), (("text_encoder_2",), True), ((), False)],
)
def test_an_adapter_touches_text_if_it_changes_a_text_encoder(parts, touches_text):
    assert spec(parts=parts).touches_text is touches_text
