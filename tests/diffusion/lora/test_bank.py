"""The bank: each row gets what its own composition adds, and pages come and go without a trace."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from torch import nn

from diffusion.jobs import composition, handle
from diffusion.lora.loras import CLOSE, COMPONENT, folded_by_hand, random_lora, small_loras, small_net
from safelight.core.adapter import NO_ADAPTERS
from safelight.core.errors import AdapterTooLarge
from safelight.diffusion.lora.bank import LoraBank
from safelight.diffusion.lora.merging import Merger
from safelight.diffusion.lora.terms import Gathered, corrections
from safelight.diffusion.lora.weights import LoraWeights

PAGES = 12
EXAMPLES = 12

scales = st.floats(-2, 2).filter(lambda scale: abs(scale) > 1e-3)
compositions = st.dictionaries(st.sampled_from(["all", "conv", "linear"]), scales).map(lambda some: composition(**some))
batches = st.lists(compositions, min_size=1, max_size=6)


def full_bank(net, *, pages=PAGES):
    bank = LoraBank({COMPONENT: net}, pages=pages)
    for each, weights in small_loras().items():
        bank.load(each, weights)
    return bank


def pictures(rows):
    return torch.randn(rows, 3, 6, 6, generator=torch.Generator().manual_seed(4))


@torch.inference_mode()
def run(bank, net, x, batch):
    with bank.applied(bank.terms(batch)):
        return net(x)


def largest_difference(left, right):
    return float((left - right).abs().max())


@settings(max_examples=EXAMPLES, deadline=None)
@given(batch=batches)
def test_each_row_of_a_mixed_batch_is_as_if_its_own_composition_were_in_the_weights(batch):
    net, x = small_net(), pictures(len(batch))
    mixed = run(full_bank(net), net, x, batch)
    alone = torch.cat([folded_by_hand(net, one)(x[row : row + 1]) for row, one in enumerate(batch)])
    assert largest_difference(mixed, alone) <= CLOSE * max(1.0, float(alone.abs().max()))


@settings(max_examples=EXAMPLES, deadline=None)
@given(batch=batches)
def test_a_row_without_terms_is_untouched_to_the_last_bit_whatever_its_neighbours_carry(batch):
    net, x = small_net(), pictures(1 + len(batch))
    assert torch.equal(run(full_bank(net), net, x, [NO_ADAPTERS, *batch])[0], net(x)[0])


@settings(max_examples=EXAMPLES, deadline=None)
@given(batch=batches, folded=compositions)
def test_corrections_make_up_for_what_is_folded(batch, folded):
    net, x = small_net(), pictures(len(batch))
    bank = full_bank(net)
    wanted = run(bank, net, x, batch)
    Merger({COMPONENT: net}).fold(folded, small_loras())
    assert largest_difference(run(bank, net, x, corrections(batch, folded)), wanted) <= 3e-5 * float(wanted.abs().max())


def test_a_row_of_the_folded_composition_needs_no_terms():
    folded, other = composition(all=0.3), composition(all=0.4)
    bank = full_bank(small_net())
    assert bank.terms(corrections([folded, folded], folded)).is_empty
    assert bank.terms(corrections([folded, other], folded)).rows.tolist() == [1]


@pytest.mark.parametrize("shape", [(3, 6), (3, 4, 6), (3, 2, 5, 6), (3, 0, 6)])
def test_rows_may_have_any_number_of_places(shape):
    layer = nn.Linear(6, 5).requires_grad_(requires_grad=False)
    net = nn.ModuleDict({"linear": layer})
    weights = random_lora(net, seed=5, ranks={"linear": 2})
    bank = LoraBank({COMPONENT: net}, pages=2)
    bank.load(handle("one"), weights)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(6))
    batch = [composition(one=scale) for scale in (1.0, -2.0, 0.5)]
    change = weights.parts[COMPONENT]["linear"].delta()
    wanted = torch.stack([layer(row) + use.uses[0].scale * row @ change.T for row, use in zip(x, batch, strict=True)])
    assert torch.allclose(run(bank, layer, x, batch), wanted, atol=CLOSE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_terms_are_as_good_as_the_precision(dtype):
    exact, half = small_net(), small_net(dtype=dtype)
    batch = [composition(all=0.5), NO_ADAPTERS, composition(all=-1.0, conv=0.5)]
    wanted, x = run(full_bank(exact), exact, pictures(3), batch), pictures(3).to(dtype)
    got = run(full_bank(half), half, x, batch)
    assert got.dtype == dtype
    assert largest_difference(got.float(), wanted) <= 8 * torch.finfo(dtype).eps * float(wanted.abs().max())


def test_weights_in_channels_last_order_are_fine():
    net, x, batch = small_net(), pictures(2), [composition(all=1.0), composition(conv=1.0)]
    wanted = run(full_bank(net), net, x, batch)
    net = net.to(memory_format=torch.channels_last)
    assert torch.allclose(run(full_bank(net), net, x.to(memory_format=torch.channels_last), batch), wanted, atol=1e-4)


def test_without_terms_nothing_is_added():
    net, x = small_net(), pictures(2)
    wanted = net(x)
    bank = full_bank(net)
    run(bank, net, x, [composition(all=1.0)] * 2)
    assert torch.equal(net(x), wanted)
    assert torch.equal(run(bank, net, x, [NO_ADAPTERS] * 2), wanted)


def test_terms_end_with_a_call_that_fails():
    net = small_net()
    bank = full_bank(net)
    with pytest.raises(AssertionError, match="a layer saw 3 rows, the terms are those of 2"):
        run(bank, net, pictures(3), [composition(all=1.0)] * 2)
    assert torch.equal(net(pictures(1)), small_net()(pictures(1)))


def test_terms_used_again_gather_nothing_and_add_the_same():
    net, x = small_net(), pictures(2)
    bank = full_bank(net)
    terms = bank.terms([composition(all=1.0), composition(linear=1.0)])
    with bank.applied(terms), torch.inference_mode():
        first, kept_bytes = net(x), terms.gathered.kept_bytes
        assert torch.equal(net(x), first)
    assert terms.gathered.kept_bytes == kept_bytes > 0


def test_what_is_gathered_is_kept_only_while_it_is_small():
    gathered = Gathered(limit_bytes=3 * 8)
    pair = torch.zeros(1), torch.zeros(1)
    for layer in ("a", "b", "c", "d", "a"):
        assert gathered.get(layer, lambda: pair) is pair
    assert gathered.kept_bytes == 3 * 8


def test_layers_that_no_adapter_of_the_batch_touches_gather_nothing():
    net = small_net()
    bank = full_bank(net)
    terms = bank.terms([composition(linear=1.0)])
    with bank.applied(terms), torch.inference_mode():
        net(pictures(1))
    eight_pages_bytes = 8 * (6 + 5) * 4
    assert terms.gathered.kept_bytes == eight_pages_bytes


def test_pages_of_a_row_are_padded_to_a_multiple_of_four_with_the_empty_page():
    terms = full_bank(small_net()).terms([composition(all=2.0), NO_ADAPTERS, composition(all=1.0, conv=-1.0)])
    assert terms.rows.tolist() == [0, 2]
    assert terms.index.shape == terms.scale.shape == (2, 8)
    assert (terms.index[0] > 0).tolist() == [True] * 3 + [False] * 5
    assert terms.scale.tolist() == [[2.0] * 3 + [0.0] * 5, [1.0] * 3 + [-1.0] * 2 + [0.0] * 3]


def test_where_all_rows_have_terms_none_are_picked_out():
    assert full_bank(small_net()).terms([composition(all=1.0)] * 3).rows is None


def test_terms_of_an_adapter_that_has_left_are_refused():
    bank = full_bank(small_net())
    terms = bank.terms([composition(all=1.0)])
    bank.evict(handle("all"))
    bank.load(handle("all"), small_loras()[handle("all")])
    with pytest.raises(AssertionError, match="evicted"), bank.applied(terms):
        pass


def test_layers_have_pages_only_once_an_adapter_touches_them():
    bank = LoraBank({COMPONENT: small_net()}, pages=PAGES)
    assert bank.weights_bytes == 0
    bank.load(handle("linear"), small_loras()[handle("linear")])
    assert bank.weights_bytes == (1 + PAGES) * (6 + 5) * 4


def test_an_adapter_has_the_same_pages_in_all_networks():
    nets = {"unet": small_net(), "text_encoder": small_net()}
    parts = [random_lora(net, seed=7, ranks={"linear": 2}, component=name).parts for name, net in nets.items()]
    bank = LoraBank(nets, pages=2)
    bank.load(handle("both"), LoraWeights(parts=parts[0] | parts[1]))
    assert bank.free_pages == 0
    batch = [composition(both=1.0)]
    results = [run(bank, net, pictures(1), batch) for net in nets.values()]
    assert torch.equal(*results)
    assert not torch.equal(results[0], small_net()(pictures(1)))


def test_an_adapter_too_large_for_the_free_pages_is_refused_before_anything_is_written():
    bank = LoraBank({COMPONENT: small_net()}, pages=6)
    bank.load(handle("linear"), small_loras()[handle("linear")])
    weights_bytes = bank.weights_bytes
    with pytest.raises(AdapterTooLarge, match=r"'conv' has rank 2, .* at most rank 1 beside those that are loaded"):
        bank.load(handle("conv"), small_loras()[handle("conv")])
    assert (bank.weights_bytes, bank.free_pages) == (weights_bytes, 1)


class Traffic(RuleBasedStateMachine):
    """Adapters come and go; what is loaded works, and what has left has left nothing."""

    def __init__(self):
        super().__init__()
        self.net = small_net()
        self.bank = LoraBank({COMPONENT: self.net}, pages=8)
        self.loaded = set()

    @rule(one=st.sampled_from(sorted(small_loras())))
    def load(self, one):
        rank = max(small_loras()[one].ranks)
        if one not in self.loaded and rank <= self.bank.free_pages:
            self.bank.load(one, small_loras()[one])
            self.loaded.add(one)

    @precondition(lambda self: self.loaded)
    @rule(data=st.data())
    def evict(self, data):
        one = data.draw(st.sampled_from(sorted(self.loaded)))
        self.bank.evict(one)
        self.loaded.remove(one)

    @invariant()
    def rows_get_their_own(self):
        batch = [composition(**{one.name: 1.0}) for one in sorted(self.loaded)]
        x = pictures(len(batch))
        for row, (one, result) in enumerate(zip(batch, run(self.bank, self.net, x, batch), strict=True)):
            wanted = folded_by_hand(self.net, one)(x[row : row + 1])[0]
            assert largest_difference(result, wanted) <= CLOSE * max(1.0, float(wanted.abs().max()))

    @invariant()
    def free_pages_are_zero(self):
        taken = [page for resident in self.bank._residents.values() for page in resident.pages]
        assert len(taken) == len(set(taken)) == 8 - self.bank.free_pages
        free = [page for page in range(9) if page not in taken]
        for layer in self.bank._layers.values():
            assert not layer.down[free].any()
            assert not layer.up[free].any()


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=6, stateful_step_count=10, deadline=None)
