"""diffusers' own conversion of the same file is the oracle; and what we write, we read."""

import pytest
import torch
from diffusers import EulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel, StableDiffusionXLPipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from diffusion.lora.tiny import (
    CLOSE,
    applied,
    fused,
    largest_difference,
    targets_of,
    tiny_pipeline,
    tiny_sd3,
    tiny_text_encoder,
    tiny_unet,
    weights_of,
)
from safelight.core.errors import AdapterFileError
from safelight.diffusion.lora.kohya_writing import write_kohya_file
from safelight.diffusion.lora.ldm_names import ldm_names
from safelight.diffusion.lora.reading import read_lora
from safelight.diffusion.lora.targets import lora_targets
from safelight.diffusion.lora.weights import LoraWeights, LowRank


def pair(name, weight, *, rank, alpha, luck):
    """The tensors of one layer in kohya's file."""
    outputs, *inputs = weight
    return {
        f"{name}.lora_down.weight": torch.randn((rank, *inputs), generator=luck) * 0.05,
        f"{name}.lora_up.weight": torch.randn((outputs, rank, *(1 for _ in inputs[1:])), generator=luck) * 0.05,
        f"{name}.alpha": torch.tensor(float(alpha)),
    }


def kohya_tensors(prefix, weights, *, alphas=(2,)):
    """A layer of its own rank for each weight; alpha varies where diffusers, our oracle, can keep up with it.

    It loses the alphas of attention layers, and of text encoders, that differ from the most common one.
    """
    luck = torch.Generator().manual_seed(4)
    tensors = {}
    for order, (path, weight) in enumerate(weights.items()):
        alpha = 2 if ".attn" in path or "_attn" in path else alphas[order % len(alphas)]
        name = prefix + path.replace(".", "_")
        tensors |= pair(name, weight, rank=1 + order % 4, alpha=alpha, luck=luck)
    return tensors


UNET_ALPHAS = (2, 2, 3)


def components(pipeline):
    names = ("unet", "text_encoder", "text_encoder_2")
    return {name: part for name in names if (part := getattr(pipeline, name, None)) is not None}


def check_against_diffusers(pipeline, file):
    before = weights_of(**components(pipeline))
    lora = read_lora(file, targets_of(**components(pipeline)))
    after = fused(pipeline, file)
    assert largest_difference(before, after) > 1e-3
    assert largest_difference(applied(lora, before), after) <= CLOSE
    return lora


@pytest.mark.parametrize("level", ["", "text_model."])
def test_a_file_changes_what_diffusers_changes(level, tmp_path):
    pipeline = tiny_pipeline()
    text = {f"{level}{path}": shape for path, shape in lora_targets(pipeline.text_encoder).items()}
    tensors = kohya_tensors("lora_unet_", lora_targets(pipeline.unet), alphas=UNET_ALPHAS) | kohya_tensors(
        "lora_te_", text
    )
    save_file(tensors, tmp_path / "style.safetensors")
    lora = check_against_diffusers(pipeline, tmp_path / "style.safetensors")
    assert {name: set(part) for name, part in lora.parts.items()} == {
        name: set(modules) for name, modules in targets_of(**components(pipeline)).items()
    }


def tiny_sdxl():
    unet = tiny_unet(
        block_out_channels=(8, 16, 16),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=40,
    )
    return StableDiffusionXLPipeline(
        vae=None,
        text_encoder=tiny_text_encoder(),
        text_encoder_2=tiny_text_encoder(projection=True),
        tokenizer=None,
        tokenizer_2=None,
        unet=unet,
        scheduler=EulerDiscreteScheduler(),
        add_watermarker=False,
    )


def test_the_original_names_of_xl_change_what_diffusers_changes(tmp_path):
    pipeline = tiny_sdxl()
    modules = lora_targets(pipeline.unet)
    original = {name: modules[path] for name, path in ldm_names(modules).items()}
    assert set(ldm_names(modules).values()) == set(modules)
    tensors = kohya_tensors("lora_unet_", original)
    tensors |= kohya_tensors("lora_te1_", lora_targets(pipeline.text_encoder))
    tensors |= kohya_tensors("lora_te2_", lora_targets(pipeline.text_encoder_2))
    save_file(tensors, tmp_path / "xl.safetensors")
    check_against_diffusers(pipeline, tmp_path / "xl.safetensors")


def tiny_flux():
    torch.manual_seed(6)
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        axes_dims_rope=(2, 2, 4),
    )


def test_the_fused_layers_of_flux_are_parted_as_diffusers_parts_them(tmp_path):
    width = 3072  # diffusers knows the fused heights of the real model only
    luck = torch.Generator().manual_seed(8)
    tensors = pair("lora_unet_double_blocks_0_img_attn_qkv", (3 * width, width), rank=2, alpha=1, luck=luck)
    tensors |= pair("lora_unet_double_blocks_0_txt_mlp_0", (4 * width, width), rank=3, alpha=1, luck=luck)
    tensors |= pair("lora_unet_single_blocks_0_linear1", (7 * width, width), rank=2, alpha=4, luck=luck)
    file = tmp_path / "flux.safetensors"
    save_file(tensors, file)
    wanted = FluxPipeline.lora_state_dict(str(tmp_path), weight_name=file.name)
    small = targets_of(transformer=tiny_flux())["transformer"]
    large = {
        path: tuple(side // 16 * width if side % 16 == 0 else side for side in shape) for path, shape in small.items()
    }
    lora = read_lora(file, {"transformer": large}).parts["transformer"]
    assert len(wanted) == 2 * len(lora) == 2 * 8
    for path, change in lora.items():
        down, up = (wanted[f"transformer.{path}.lora_{half}.weight"] for half in "AB")
        assert (change.delta()[:64] - up[:64] @ down).abs().max() <= CLOSE


def test_a_file_for_stable_diffusion_3_is_read_by_the_names_of_its_modules(tmp_path):
    modules = lora_targets(tiny_sd3())
    save_file(kohya_tensors("lora_transformer_", modules), tmp_path / "sd3.safetensors")
    lora = read_lora(tmp_path / "sd3.safetensors", {"transformer": modules})
    assert {path: tuple(change.delta().shape) for path, change in lora.parts["transformer"].items()} == modules


def test_every_layer_has_its_own_alpha(tmp_path):
    modules = {path: shape for path, shape in lora_targets(tiny_text_encoder()).items() if "q_proj" in path}
    luck = torch.Generator().manual_seed(9)
    names = {path: f"lora_te_text_model_{path.replace('.', '_')}" for path in modules}
    tensors = pair(names["encoder.layers.0.self_attn.q_proj"], (16, 16), rank=2, alpha=3, luck=luck)
    tensors |= pair(names["encoder.layers.1.self_attn.q_proj"], (16, 16), rank=4, alpha=1, luck=luck)
    save_file(tensors, tmp_path / "a.safetensors")
    lora = read_lora(tmp_path / "a.safetensors", {"text_encoder": modules})
    assert [change.scale for change in lora.parts["text_encoder"].values()] == [3 / 2, 1 / 4]


def test_a_layer_without_alpha_is_not_scaled(tmp_path):
    modules = lora_targets(tiny_unet())
    tensors = kohya_tensors("lora_unet_", modules)
    save_file({key: value for key, value in tensors.items() if not key.endswith("alpha")}, tmp_path / "a.safetensors")
    lora = read_lora(tmp_path / "a.safetensors", {"unet": modules})
    assert {change.scale for change in lora.parts["unet"].values()} == {1.0}


TARGETS = targets_of(
    unet=tiny_unet(), text_encoder=tiny_text_encoder(), text_encoder_2=tiny_text_encoder(projection=True)
)


@st.composite
def loras(draw):
    """Random changes of some random modules."""
    luck = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    dtype = draw(st.sampled_from([torch.float32, torch.float16, torch.bfloat16]))
    parts = {}
    for component, modules in TARGETS.items():
        chosen = draw(st.sets(st.sampled_from(sorted(modules)), max_size=4))
        for path in chosen:
            rank, (outputs, *inputs) = draw(st.integers(1, 5)), modules[path]
            parts.setdefault(component, {})[path] = LowRank(
                down=torch.randn((rank, *inputs), generator=luck).to(dtype),
                up=torch.randn((outputs, rank, *(1 for _ in inputs[1:])), generator=luck).to(dtype),
                scale=draw(st.floats(-4, 4)),
            )
    return LoraWeights(parts=parts)


@settings(max_examples=30)
@given(loras().filter(lambda lora: lora.parts))
def test_what_is_written_is_read(tmp_path_factory, lora):
    file = tmp_path_factory.mktemp("kohya") / "written.safetensors"
    write_kohya_file(lora, file)
    read = read_lora(file, TARGETS)
    assert (read.ranks, read.weights_bytes) == (lora.ranks, lora.weights_bytes)
    assert {name: set(part) for name, part in read.parts.items()} == {
        name: set(part) for name, part in lora.parts.items()
    }
    for name, part in lora.parts.items():
        for path, change in part.items():
            back = read.parts[name][path]
            assert torch.equal(back.down, change.down)
            assert torch.equal(back.up, change.up)
            assert back.scale == pytest.approx(change.scale, rel=1e-6)


def test_what_is_written_changes_what_diffusers_changes(tmp_path):
    pipeline = tiny_pipeline()
    file = tmp_path / "first.safetensors"
    text = kohya_tensors("lora_te_", lora_targets(pipeline.text_encoder))
    save_file(kohya_tensors("lora_unet_", lora_targets(pipeline.unet), alphas=UNET_ALPHAS) | text, file)
    again = tmp_path / "again.safetensors"
    write_kohya_file(read_lora(file, targets_of(**components(pipeline))), again)
    assert "lora_te_text_model_encoder_layers_0_mlp_fc1.alpha" in load_file(again)
    check_against_diffusers(pipeline, again)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("dora_scale", "DoRA"),
        ("hada_w1_a", "LoHa"),
        ("lokr_w1", "LoKr"),
        ("lora_mid.weight", "Tucker"),
        ("diff_b", "change of a bias"),
        ("diff", "change of a whole weight"),
        ("magic", "which no LoRA has"),
    ],
)
def test_other_methods_are_refused_by_name(ending, reason, tmp_path):
    modules = lora_targets(tiny_unet())
    tensors = kohya_tensors("lora_unet_", modules) | {f"lora_unet_conv_in.{ending}": torch.ones(4)}
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(AdapterFileError, match=reason):
        read_lora(tmp_path / "other.safetensors", {"unet": modules})
