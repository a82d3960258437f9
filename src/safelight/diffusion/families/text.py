"""Text encoders, and how the features of several are joined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from safelight.diffusion.families.parts import TextEncoder, TextFeatures
from safelight.diffusion.placement import Placement

ClipContext = Literal["last", "penultimate"]
"""The hidden layer that becomes the context; the last one is normalized, the penultimate one is not."""

ClipPooled = Literal["pooler_output", "text_embeds"]
"""transformers' name of the pooled vector: without the projection, or with it."""


@dataclass(frozen=True, kw_only=True)
class ClipEncoder:
    """A CLIP text encoder; a part whose output is None is not computed."""

    component: str
    tokenizer: Any
    network: Any
    context: ClipContext | None = None
    pooled: ClipPooled | None = None

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The network, under the name of its component."""
        return {self.component: self.network}

    def encode(self, prompts: Sequence[str | None]) -> TextFeatures:
        """Encode prompts in one batch; None is read as the empty prompt."""
        tokens = tokenize(self.tokenizer, prompts)
        context, pooled = read_clip(self.network, tokens, context=self.context, pooled=self.pooled)
        return TextFeatures(context=context, pooled=pooled, words=count_words(self.tokenizer, tokens))


@dataclass(frozen=True, kw_only=True)
class T5Encoder:
    """A T5 encoder that reads `tokens` tokens of a prompt; LoRAs do not change it."""

    tokenizer: Any
    network: Any
    tokens: int

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Nothing."""
        return {}

    def encode(self, prompts: Sequence[str | None]) -> TextFeatures:
        """Encode prompts in one batch; None is read as the empty prompt."""
        tokens = tokenize(self.tokenizer, prompts, self.tokens)
        context = self.network(tokens.to(self.network.device))[0]
        return TextFeatures(context=context, words=count_words(self.tokenizer, tokens, starts=0))


@dataclass(frozen=True, kw_only=True)
class ZeroToken:
    """One token of zeros for every prompt, in place of an encoder that a model does without."""

    width: int
    placement: Placement

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Nothing."""
        return {}

    def encode(self, prompts: Sequence[str | None]) -> TextFeatures:
        """Return zeros."""
        zeros = torch.zeros(len(prompts), 1, self.width, device=self.placement.device, dtype=self.placement.dtype)
        return TextFeatures(context=zeros, words=[0] * len(prompts))


@dataclass(frozen=True, kw_only=True)
class ConcatWidths:
    """Encoders of equally many tokens, whose contexts are concatenated along the width."""

    encoders: Sequence[TextEncoder]

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks of all of them."""
        return _all_networks(self.encoders)

    def encode(self, prompts: Sequence[str | None]) -> TextFeatures:
        """Encode prompts with each; words are counted by the first."""
        features = [encoder.encode(prompts) for encoder in self.encoders]
        contexts = [each.context for each in features if each.context is not None]
        return _joined(features, context=_concat(contexts, dim=-1))


@dataclass(frozen=True, kw_only=True)
class ConcatTokens:
    """Encoders whose contexts are padded with zeros to `width` and concatenated along the tokens."""

    encoders: Sequence[TextEncoder]
    width: int

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks of all of them."""
        return _all_networks(self.encoders)

    def encode(self, prompts: Sequence[str | None]) -> TextFeatures:
        """Encode prompts with each; words are counted by the first."""
        features = [encoder.encode(prompts) for encoder in self.encoders]
        contexts = [_padded(each.context, self.width) for each in features if each.context is not None]
        return _joined(features, context=_concat(contexts, dim=1))


@dataclass(frozen=True, kw_only=True)
class ZerosWithoutPrompt:
    """An encoder whose features are zeros where the prompt is None."""

    encoder: TextEncoder

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks of the encoder."""
        return self.encoder.networks

    def encode(self, prompts: Sequence[str | None]) -> TextFeatures:
        """Encode prompts in one batch."""
        features = self.encoder.encode(prompts)
        is_given = [prompt is not None for prompt in prompts]
        return TextFeatures(
            context=_where(is_given, features.context), pooled=_where(is_given, features.pooled), words=features.words
        )


def read_clip(
    network: Any,  # noqa: ANN401 - transformers' network, untyped
    tokens: Tensor,
    *,
    context: ClipContext | None,
    pooled: ClipPooled | None,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the context, (prompts, tokens, width), and the pooled vectors, (prompts, width), of token ids."""
    output = network(tokens.to(network.device), output_hidden_states=context == "penultimate")
    pooled_vectors = output[pooled] if pooled else None
    match context:
        case "last":
            return output.last_hidden_state, pooled_vectors
        case "penultimate":
            return output.hidden_states[-2], pooled_vectors
        case None:
            return None, pooled_vectors


def encode_clips(networks: Sequence[Any], tokens: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the penultimate layers of CLIP encoders with projection, and their pooled vectors, concatenated by width.

    `tokens` has (prompts, tokens) ids for each network.
    """
    outputs = [
        read_clip(network, ids, context="penultimate", pooled="text_embeds")
        for network, ids in zip(networks, tokens, strict=True)
    ]
    contexts, pooled = zip(*outputs, strict=True)
    return torch.cat(contexts, dim=-1), torch.cat(pooled, dim=-1)


def tokenize(tokenizer: Any, prompts: Sequence[str | None], length: int | None = None) -> Tensor:  # noqa: ANN401 - likewise
    """Return (prompts, tokens) ids, cut or padded to `length` or the tokenizer's own, as diffusers does."""
    texts = [prompt or "" for prompt in prompts]
    tokens: Tensor = tokenizer(
        texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids
    return tokens


def count_words(tokenizer: Any, tokens: Tensor, *, starts: int = 1) -> list[int]:  # noqa: ANN401 - likewise
    """Return how many tokens of each row lie before the end token and after `starts` start tokens."""
    ends = (tokens == tokenizer.eos_token_id).int().argmax(dim=1).tolist()
    return [max(0, end - starts) for end in ends]


def _all_networks(encoders: Sequence[TextEncoder]) -> Mapping[str, nn.Module]:
    return {name: network for encoder in encoders for name, network in encoder.networks.items()}


def _joined(features: Sequence[TextFeatures], *, context: Tensor | None) -> TextFeatures:
    pooled = [each.pooled for each in features if each.pooled is not None]
    return TextFeatures(context=context, pooled=_concat(pooled, dim=-1), words=features[0].words)


def _concat(tensors: Sequence[Tensor], *, dim: int) -> Tensor | None:
    if len(tensors) > 1:
        return torch.cat(list(tensors), dim=dim)
    return next(iter(tensors), None)


def _padded(context: Tensor, width: int) -> Tensor:
    missing = width - context.shape[-1]
    return F.pad(context, (0, missing)) if missing else context


def _where(is_given: Sequence[bool], features: Tensor | None) -> Tensor | None:
    if features is None:
        return None
    return features * torch.tensor(is_given, device=features.device).view(-1, *[1] * (features.dim() - 1))
