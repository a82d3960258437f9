"""What the original release of FLUX calls the modules of its transformer.

Queries, keys and values are one fused layer there; a fused layer's LoRA has a common down factor and the rows of the
up factors one below the other.
"""

from safelight.diffusion.lora.targets import Modules

DOUBLE = {
    "img_attn_qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "img_attn_proj": ("attn.to_out.0",),
    "img_mlp_0": ("ff.net.0.proj",),
    "img_mlp_2": ("ff.net.2",),
    "img_mod_lin": ("norm1.linear",),
    "txt_attn_qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "txt_attn_proj": ("attn.to_add_out",),
    "txt_mlp_0": ("ff_context.net.0.proj",),
    "txt_mlp_2": ("ff_context.net.2",),
    "txt_mod_lin": ("norm1_context.linear",),
}
SINGLE = {
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    "linear2": ("proj_out",),
    "modulation_lin": ("norm.linear",),
}
STACKS = (("double_blocks", "transformer_blocks", DOUBLE), ("single_blocks", "single_transformer_blocks", SINGLE))


def flux_names(modules: Modules) -> dict[str, tuple[str, ...]]:
    """Return the paths of the modules that each original layer is made of, if `modules` are those of FLUX."""
    names = {}
    for original, ours, table in STACKS:
        for block in {path.split(".")[1] for path in modules if path.startswith(f"{ours}.")}:
            for name, parts in table.items():
                names[f"{original}.{block}.{name}"] = tuple(f"{ours}.{block}.{part}" for part in parts)
    return {name: paths for name, paths in names.items() if all(path in modules for path in paths)}
