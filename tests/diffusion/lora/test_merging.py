"""Merging: pristine weights come back bit by bit, whatever has been folded in between."""

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from diffusion.jobs import composition, handle
from diffusion.lora.loras import COMPONENT, folded_by_hand, random_lora, small_loras, small_net
from safelight.core.adapter import NO_ADAPTERS
from safelight.diffusion.lora.merging import Merger
from safelight.diffusion.lora.weights import LoraWeights

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
COMPOSITIONS = (
    composition(all=1.0),
    composition(all=-0.7, linear=0.3),
    composition(conv=1.5),
    composition(all=0.1, conv=2.0, linear=-1.0),
)


def weights_in(net):
    return {name: weight.clone() for name, weight in net.state_dict().items()}


def are_identical(left, right):
    return all(torch.equal(left[name], right[name]) for name in left)


def broken_lora():
    """Its first layer can be folded, its second does not fit."""
    good, bad = (random_lora(small_net(), seed=8, ranks={path: 1}).parts[COMPONENT] for path in ("conv", "linear"))
    return LoraWeights(parts={COMPONENT: {"conv": good["conv"], "point": bad["linear"]}})


class History(RuleBasedStateMachine):
    """Folds, folds that fail, and restores, in any order."""

    dtype: torch.dtype

    def __init__(self):
        super().__init__()
        self.net = small_net(dtype=self.dtype)
        self.pristine = weights_in(self.net)
        self.merger = Merger({COMPONENT: self.net})
        self.expected = self.pristine

    @rule(wanted=st.sampled_from(COMPOSITIONS))
    def fold(self, wanted):
        self.merger.fold(wanted, small_loras())
        fresh = small_net(dtype=self.dtype)
        Merger({COMPONENT: fresh}).fold(wanted, small_loras())
        self.expected = weights_in(fresh)

    @rule(known=st.sampled_from(COMPOSITIONS))
    def name_an_unknown_adapter(self, known):
        with pytest.raises(KeyError, match="unknown"):
            self.merger.fold(known + composition(unknown=1.0), small_loras())

    @rule()
    def fail_half_way(self):
        with pytest.raises(RuntimeError):
            self.merger.fold(composition(broken=1.0), {handle("broken"): broken_lora()})

    @rule()
    def restore(self):
        self.merger.restore()
        self.expected = self.pristine
        assert self.merger.folded == NO_ADAPTERS

    @invariant()
    def weights_are_bit_for_bit_what_they_should_be(self):
        assert are_identical(weights_in(self.net), self.expected)

    @invariant()
    def only_changed_layers_have_copies(self):
        folded = self.merger.folded.handles
        changed = {path for one in folded for path in small_loras()[one].parts[COMPONENT]}
        size = self.dtype.itemsize
        assert self.merger.pristine_bytes == sum(self.pristine[f"{path}.weight"].numel() * size for path in changed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_restored_weights_are_bit_identical_after_any_history(dtype):
    machine = type("HistoryIn", (History,), {"dtype": dtype})
    machine.TestCase.settings = settings(max_examples=6, stateful_step_count=8, deadline=None)
    machine.TestCase().runTest()


@pytest.mark.parametrize("wanted", COMPOSITIONS)
def test_a_fold_adds_the_changes_to_the_weights(wanted):
    net = small_net()
    twin = folded_by_hand(net, wanted)
    Merger({COMPONENT: net}).fold(wanted, small_loras())
    assert all(torch.allclose(net.state_dict()[name], weight, atol=1e-6) for name, weight in twin.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_are_cast_once(dtype):
    net = small_net(dtype=dtype)
    changes = [small_loras()[handle(name)].parts[COMPONENT]["linear"].delta() for name in ("all", "linear")]
    wanted = (net.linear.weight.float() + (changes[0] * 0.1 + changes[1] * -1.0)).to(dtype)
    Merger({COMPONENT: net}).fold(composition(all=0.1, linear=-1.0), small_loras())
    assert torch.equal(net.linear.weight, wanted)


def test_weights_that_were_loaded_for_inference_can_be_folded_too():
    with torch.inference_mode():
        net = small_net()
    merger = Merger({COMPONENT: net})
    merger.fold(composition(all=1.0), small_loras())
    merger.restore()
    assert are_identical(weights_in(net), weights_in(small_net()))
