"""What the original release of latent diffusion calls the modules of a UNet.

Its input, middle and output blocks each count through what diffusers parts into blocks of residual layers, attentions
and resamplers.
"""

import re

from safelight.diffusion.lora.targets import Modules

OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
IN_RESNET = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def ldm_names(modules: Modules) -> dict[str, str]:
    """Return the path of each module by the name that the original release gives it."""
    blocks = [match for path in modules if (match := BLOCK.fullmatch(path))]
    layers = {block[4] for block in blocks if (block[1], block[3]) == ("down", "resnets")}
    named = {_name(path, modules, layers_per_block=len(layers)): path for path in modules}
    return {name: path for name, path in named.items() if name is not None}


def _name(path: str, modules: Modules, *, layers_per_block: int) -> str | None:
    if path in OUTSIDE:
        return OUTSIDE[path]
    if match := MIDDLE.fullmatch(path):
        kind, index, rest = match.groups()
        place = 1 if kind == "attentions" else 2 * int(index)
        return f"middle_block.{place}.{IN_RESNET.get(rest, rest)}"
    if match := BLOCK.fullmatch(path):
        way, block, kind, index, rest = match.groups()
        first = int(block) * (layers_per_block + 1)
        if kind == "downsamplers":
            return f"input_blocks.{first + layers_per_block + 1}.0.op"
        if kind == "upsamplers":
            above = any(other.startswith(f"up_blocks.{block}.attentions.") for other in modules)
            return f"output_blocks.{first + layers_per_block}.{2 if above else 1}.conv"
        row = f"input_blocks.{first + 1 + int(index)}" if way == "down" else f"output_blocks.{first + int(index)}"
        return f"{row}.{0 if kind == 'resnets' else 1}.{IN_RESNET.get(rest, rest)}"
    return None
