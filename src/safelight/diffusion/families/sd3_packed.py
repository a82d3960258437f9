"""The transformer of Stable Diffusion 3 over rows of several sizes: tokens of all rows share each linear layer.

Attention is computed for each size. So no token is padded, and a call costs as much as its tokens (packed batches:
MixFusion, PPoPP 2026).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class _Sizes:
    """Where the tokens of each size are among all, and of which rows they are."""

    def __init__(self, groups: Sequence[Tensor]) -> None:
        self.rows = [len(group) for group in groups]
        self.tokens = [group.shape[1] for group in groups]
        counts = [rows * tokens for rows, tokens in zip(self.rows, self.tokens, strict=True)]
        ends = [sum(counts[: place + 1]) for place in range(len(counts))]
        self._spans = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        firsts = [sum(self.rows[:place]) for place in range(len(self.rows))]
        self.row_spans = [slice(first, first + rows) for first, rows in zip(firsts, self.rows, strict=True)]
        device = groups[0].device
        self.row_of_token = torch.cat(
            [
                torch.arange(first, first + rows, device=device).repeat_interleave(tokens)
                for first, rows, tokens in zip(firsts, self.rows, self.tokens, strict=True)
            ]
        )

    def split(self, packed: Tensor) -> list[Tensor]:
        """Return (tokens of all rows, width) as one (rows, tokens, width) for each size."""
        return [
            packed[span].view(rows, tokens, -1)
            for span, rows, tokens in zip(self._spans, self.rows, self.tokens, strict=True)
        ]


def denoise_packed(
    network: Any,  # noqa: ANN401 - diffusers' SD3Transformer2DModel, untyped
    groups: Sequence[Tensor],
    times: Tensor,
    contexts: Tensor,
    pooled: Tensor,
    *,
    context_count: int,
) -> list[Tensor]:
    """Return the velocities of each group.

    Args:
        network: without dual attention, and without LoRAs beside its weights.
        groups: latents of shape (rows, channels, height, width), one for each size.
        times: (all rows,), in the order of the groups, like all that follows.
        contexts: (all rows, tokens, width).
        pooled: (all rows, width).
        context_count: how many equal tokens the last one of a context stands for.
    """
    embedded = [network.pos_embed(latents) for latents in groups]
    sizes = _Sizes(embedded)
    hidden = torch.cat([tokens.flatten(0, 1) for tokens in embedded])
    time = F.silu(network.time_text_embed(times, pooled))
    context = network.context_embedder(contexts)
    for block in network.transformer_blocks:
        hidden, context = _block(block, hidden, context, time, sizes, context_count)
    scale, shift = network.norm_out.linear(time.to(hidden.dtype)).chunk(2, dim=1)
    hidden = _modulated(network.norm_out.norm(hidden), scale, shift, sizes)
    patches = sizes.split(network.proj_out(hidden))
    return [_unpatched(network, part, latents) for part, latents in zip(patches, groups, strict=True)]


def _block(  # noqa: PLR0917 - what a block reads
    block: Any,  # noqa: ANN401 - diffusers' JointTransformerBlock
    hidden: Tensor,
    context: Tensor,
    time: Tensor,
    sizes: _Sizes,
    context_count: int,
) -> tuple[Tensor, Tensor]:
    shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = block.norm1.linear(time).chunk(6, dim=1)
    normed = _modulated(block.norm1.norm(hidden), scale, shift, sizes)
    if block.context_pre_only:
        context_scale, context_shift = block.norm1_context.linear(time).chunk(2, dim=1)
        context_changes: tuple[Tensor, ...] = ()
    else:
        context_shift, context_scale, *changes = block.norm1_context.linear(time).chunk(6, dim=1)
        context_changes = tuple(changes)
    norm = block.norm1_context.norm
    normed_context = norm(context) * (1 + context_scale[:, None]) + context_shift[:, None]
    attended, attended_context = _attention(block.attn, normed, normed_context, sizes, context_count)
    hidden = hidden + gate[sizes.row_of_token] * attended
    normed = _modulated(block.norm2(hidden), scale_mlp, shift_mlp, sizes)
    hidden = hidden + gate_mlp[sizes.row_of_token] * block.ff(normed)
    if not context_changes:
        return hidden, context
    gate, shift_mlp, scale_mlp, gate_mlp = context_changes
    context = context + gate[:, None] * attended_context
    normed_context = block.norm2_context(context) * (1 + scale_mlp[:, None]) + shift_mlp[:, None]
    return hidden, context + gate_mlp[:, None] * block.ff_context(normed_context)


def _attention(
    attn: Any,  # noqa: ANN401 - diffusers' Attention
    hidden: Tensor,
    context: Tensor,
    sizes: _Sizes,
    context_count: int,
) -> tuple[Tensor, Tensor]:
    """Return the attention output of image tokens and of context tokens, which attend to those of their own row."""
    pictures = [sizes.split(project(hidden)) for project in (attn.to_q, attn.to_k, attn.to_v)]
    texts = [project(context) for project in (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)]
    norms = (attn.norm_q, attn.norm_k, None)
    text_norms = (attn.norm_added_q, attn.norm_added_k, None)
    images, contexts = [], []
    for place, (tokens, rows) in enumerate(zip(sizes.tokens, sizes.row_spans, strict=True)):
        query, key, value = (
            torch.cat([_heads(attn, own[place], norm), _heads(attn, text[rows], text_norm)], dim=2)
            for own, norm, text, text_norm in zip(pictures, norms, texts, text_norms, strict=True)
        )
        bonus = None
        if context_count > 1:
            bonus = query.new_zeros(1, 1, 1, key.shape[2])
            bonus[..., -1] = math.log(context_count)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bonus).transpose(1, 2).flatten(2)
        images.append(mixed[:, :tokens].flatten(0, 1))
        contexts.append(mixed[:, tokens:])
    image = attn.to_out[1](attn.to_out[0](torch.cat(images)))
    joined = torch.cat(contexts)
    return image, joined if attn.context_pre_only else attn.to_add_out(joined)


def _heads(attn: Any, values: Tensor, norm: Any) -> Tensor:  # noqa: ANN401 - diffusers' Attention and norms
    """Return (rows, tokens, width) as (rows, heads, tokens, width of a head)."""
    split = values.view(values.shape[0], -1, attn.heads, values.shape[-1] // attn.heads).transpose(1, 2)
    heads: Tensor = split if norm is None else norm(split)
    return heads


def _modulated(hidden: Tensor, scale: Tensor, shift: Tensor, sizes: _Sizes) -> Tensor:
    """Scale and shift each token as its row says."""
    return hidden * (1 + scale)[sizes.row_of_token] + shift[sizes.row_of_token]


def _unpatched(network: Any, patches: Tensor, latents: Tensor) -> Tensor:  # noqa: ANN401 - see above
    side = network.config.patch_size
    height, width = latents.shape[-2] // side, latents.shape[-1] // side
    cells = patches.reshape(len(patches), height, width, side, side, network.out_channels)
    return torch.einsum("nhwpqc->nchpwq", cells).reshape(len(patches), network.out_channels, *latents.shape[-2:])
