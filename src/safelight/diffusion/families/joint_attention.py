"""Joint attention in which one token of the context stands for many equal ones.

Without its T5 encoder, Stable Diffusion 3 reads 256 tokens of zeros. Equal tokens stay equal through every block,
so one of them gives the same result once its attention score is raised by the logarithm of their number.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CountedJointAttention:
    """A diffusers attention processor that counts the last token of the context `count` times.

    With `in_single_precision`, attention is computed so whatever the precision around it: on CPUs its backward
    pass is far slower in bfloat16.
    """

    def __init__(self, count: int, *, in_single_precision: bool = False) -> None:
        self._bonus = math.log(count)
        self._in_single_precision = in_single_precision

    def __call__(
        self,
        attn: Any,  # noqa: ANN401 - diffusers' Attention, untyped
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the attention output of image and context tokens, both (rows, tokens, width)."""
        rows, places, _ = hidden_states.shape

        def heads(values: Tensor, norm: nn.Module | None = None) -> Tensor:
            split = values.view(rows, -1, attn.heads, values.shape[-1] // attn.heads).transpose(1, 2)
            return split if norm is None else norm(split)

        query = heads(attn.to_q(hidden_states), attn.norm_q)
        key = heads(attn.to_k(hidden_states), attn.norm_k)
        value = heads(attn.to_v(hidden_states))
        query = torch.cat([query, heads(attn.add_q_proj(encoder_hidden_states), attn.norm_added_q)], dim=2)
        key = torch.cat([key, heads(attn.add_k_proj(encoder_hidden_states), attn.norm_added_k)], dim=2)
        value = torch.cat([value, heads(attn.add_v_proj(encoder_hidden_states))], dim=2)
        mixed = self._attend(query, key, value).transpose(1, 2).flatten(2)
        image, context = mixed[:, :places], mixed[:, places:]
        image = attn.to_out[1](attn.to_out[0](image))
        return image, context if attn.context_pre_only else attn.to_add_out(context)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        bonus = query.new_zeros(1, 1, 1, key.shape[2])
        bonus[..., -1] = self._bonus
        if not self._in_single_precision:
            return F.scaled_dot_product_attention(query, key, value, attn_mask=bonus)
        with torch.autocast(query.device.type, enabled=False):
            return F.scaled_dot_product_attention(query.float(), key.float(), value.float(), attn_mask=bonus.float())
