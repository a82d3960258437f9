"""Joining the features of text encoders."""

from dataclasses import dataclass, field
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from safelight.diffusion.families.parts import TextFeatures
from safelight.diffusion.families.text import ConcatTokens, ConcatWidths, ZerosWithoutPrompt


@dataclass
class FakeEncoder:
    """Gives the same features for every prompt."""

    context: Tensor | None
    pooled: Tensor | None = None
    words: int = 0
    networks: dict[str, nn.Module] = field(default_factory=dict)

    def encode(self, prompts):
        def repeat(features):
            return None if features is None else features.expand(len(prompts), *features.shape)

        return TextFeatures(context=repeat(self.context), pooled=repeat(self.pooled), words=[self.words] * len(prompts))


@pytest.fixture
def first():
    return FakeEncoder(torch.ones(3, 2), torch.ones(2), words=1, networks={"first": nn.Identity()})


@pytest.fixture
def second():
    return FakeEncoder(2 * torch.ones(3, 4), 2 * torch.ones(4), words=2, networks={"second": nn.Identity()})


@pytest.mark.parametrize("join", [ConcatWidths, partial(ConcatTokens, width=4)])
def test_joined_encoders_have_the_networks_of_all_and_the_words_of_the_first(join, first, second):
    both = join(encoders=(first, second))
    assert (list(both.networks), both.encode(["a", None]).words) == (["first", "second"], [1, 1])


def test_contexts_and_pooled_vectors_are_concatenated_by_width(first, second):
    features = ConcatWidths(encoders=(first, second)).encode(["a"])
    assert features.context[0, 0].tolist() == [1, 1, 2, 2, 2, 2]
    assert features.pooled[0].tolist() == [1, 1, 2, 2, 2, 2]


def test_narrow_contexts_are_padded_with_zeros_before_they_are_concatenated_by_tokens(first, second):
    features = ConcatTokens(encoders=(first, second), width=4).encode(["a"])
    assert features.context[0].tolist() == [[1, 1, 0, 0]] * 3 + [[2, 2, 2, 2]] * 3


def test_an_encoder_without_context_adds_its_pooled_vector_only():
    both = ConcatTokens(encoders=(FakeEncoder(None, torch.ones(2)), FakeEncoder(torch.ones(3, 4))), width=4)
    encoded = both.encode(["a"])
    assert (encoded.context.shape, encoded.pooled.shape) == ((1, 3, 4), (1, 2))


def test_features_are_zeros_where_there_is_no_prompt(first):
    features = ZerosWithoutPrompt(encoder=first).encode(["a", None])
    assert features.context.sum(dim=(1, 2)).tolist() == [6, 0]
    assert features.pooled.sum(dim=1).tolist() == [2, 0]
