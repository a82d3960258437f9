"""The network of a gate: a picture and its prompt in, one number out."""

import re
import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE: Final = 64
"""Pictures are resized to squares of this side, in pixels."""

WORDS: Final = 2048
"""Words are hashed into so many embeddings; the first one fills up short prompts."""

MOST_WORDS: Final = 128
PHRASE: Final = 7
"""So many neighbouring words are read together."""

WIDTH: Final = 64
HEADS: Final = 4
BATCH: Final = 128
GRID: Final = 8
"""The picture is looked at as so many cells a side."""


def words_of(prompt: str) -> list[str]:
    """Return the words and signs of a prompt, in order."""
    return re.findall(r"\w+|[^\w\s]", prompt.lower())


def word_numbers(prompts: Sequence[str]) -> Tensor:
    """Return the words and signs of each prompt as numbers, `(prompts, words)`; 0 fills up; at most `MOST_WORDS`."""
    numbers = [[1 + zlib.crc32(word.encode()) % (WORDS - 1) for word in words_of(prompt)] for prompt in prompts]
    longest = min(MOST_WORDS, max((len(each) for each in numbers), default=1) or 1)
    return torch.tensor([(each + [0] * longest)[:longest] for each in numbers], dtype=torch.long)


def signals_of(pictures: Tensor) -> Tensor:
    """Return pictures, `(n, height, width, 3)` in bytes, as the network reads them: `(n, 3, SIDE, SIDE)` in [-1, 1].

    Other sizes are resized by the mean of areas.
    """
    signals = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
    return signals if signals.shape[-2:] == (SIDE, SIDE) else functional.adaptive_avg_pool2d(signals, SIDE)


@torch.inference_mode()
def logits_of(net: "GateNet", pictures: Tensor, prompts: Sequence[str]) -> Tensor:
    """Return the logit of each of `pictures`, as `signals_of` takes them, with its prompt."""
    parts = [
        net(signals_of(pictures[first : first + BATCH]), word_numbers(prompts[first : first + BATCH]))
        for first in range(0, len(prompts), BATCH)
    ]
    return torch.cat(parts)


class Look(NamedTuple):
    """What the network finds: a logit for each picture, features of each cell and of each word, `(n, ..., width)`."""

    logits: Tensor
    cells: Tensor
    words: Tensor


class GateNet(nn.Module):
    """Convolutions read the picture, attention compares it with the words, in both orders.

    Of about 8 million multiply-adds a picture, in few calls, so that it costs little beside the light model.
    """

    def __init__(self, *, width: int = WIDTH, words: int = WORDS) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 5, stride=2, padding=2)
        self.fine = nn.Sequential(_Block(24, 48, stride=2), _Block(48, 48))
        self.coarse = _Block(48, width, stride=2)
        self.cells = nn.Parameter(0.02 * torch.randn(GRID * GRID, width))
        self.words = nn.Embedding(words, width, padding_idx=0)
        self.places = nn.Parameter(0.02 * torch.randn(MOST_WORDS, width))
        self.reading = nn.Conv1d(width, width, PHRASE, padding=PHRASE // 2)
        self.looking = _Attention(width)
        self.verdict = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, pictures: Tensor, words: Tensor) -> Tensor:
        """Return a logit for each of `pictures`, `(n, 3, SIDE, SIDE)` in [-1, 1], with `words`, `(n, words)`."""
        return self.look(pictures, words).logits

    def look(self, pictures: Tensor, words: Tensor) -> "Look":
        """Return the same with what was found in each cell and for each word, which training can teach too."""
        seen = self.coarse(self.fine(functional.gelu(self.stem(pictures)))).flatten(2).transpose(1, 2)
        cells = seen + self.cells
        is_word = words > 0
        text = self.words(words) + self.places[: words.shape[1]]
        text = text + functional.gelu(self.reading(text.transpose(1, 2)).transpose(1, 2))
        text = self.looking(text, cells)
        weight = is_word.unsqueeze(-1).to(text.dtype)
        pooled = (text * weight).sum(1) / weight.sum(1).clamp(min=1)
        return Look(logits=self.verdict(pooled).squeeze(-1), cells=seen, words=text)


class _Block(nn.Module):
    """A depthwise and a pointwise convolution, with a residual path where the shape stays."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 5, stride=stride, padding=2, groups=inputs)
        self.norm = nn.GroupNorm(1, inputs)
        self.widen = nn.Conv2d(inputs, 2 * outputs, 1)
        self.narrow = nn.Conv2d(2 * outputs, outputs, 1)
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.narrow(functional.gelu(self.widen(self.norm(self.depthwise(x)))))
        return x + made if self.is_residual else made


class _Attention(nn.Module):
    """Queries take from keys, then pass a small feed-forward network; both with residual paths."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_norm, self.key_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        query = self._heads(self.query(self.query_norm(queries)))
        key, value = (self._heads(each) for each in self.key_value(self.key_norm(keys)).chunk(2, dim=-1))
        taken = functional.scaled_dot_product_attention(query, key, value)
        queries = queries + self.out(taken.transpose(1, 2).flatten(2))
        result: Tensor = queries + self.feed(self.norm(queries))
        return result

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], HEADS, -1).transpose(1, 2)
