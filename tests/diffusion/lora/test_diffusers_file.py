"""diffusers is the oracle: the base weight and our change make the weight that its pipelines fuse."""

import json

import pytest
import torch
from diffusers import StableDiffusion3Pipeline, StableDiffusionPipeline
from diffusers.training_utils import _collate_lora_metadata
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from diffusion.lora.tiny import (
    CLOSE,
    applied,
    fused,
    largest_difference,
    randomise,
    targets_of,
    tiny_pipeline,
    tiny_sd3,
    tiny_unet,
    weights_of,
)
from safelight.core.errors import AdapterFileError
from safelight.diffusion.lora.reading import read_lora

UNET_LORA = LoraConfig(
    r=3,
    lora_alpha=5,
    target_modules=["to_q", "to_out.0", "conv1", "time_emb_proj", "proj_in"],
    rank_pattern={"conv1": 2},
    alpha_pattern={"to_q": 1, "^mid_block.resnets.0.conv1": 7},
)
TEXT_LORA = LoraConfig(r=4, lora_alpha=2, target_modules=["q_proj", "fc1"], use_rslora=True)
NAME = "pytorch_lora_weights.safetensors"


@pytest.fixture
def saved(tmp_path):
    """What a diffusers training script leaves behind, without the settings."""
    return save(tmp_path, with_settings=False)


def save(folder, *, with_settings):
    pipeline = tiny_pipeline()
    parts = {"unet": (pipeline.unet, UNET_LORA), "text_encoder": (pipeline.text_encoder, TEXT_LORA)}
    for model, config in parts.values():
        model.add_adapter(config)
        randomise(model)
    layers = {f"{name}_lora_layers": get_peft_model_state_dict(model) for name, (model, _) in parts.items()}
    models = {name: model for name, (model, _) in parts.items()}
    settings = _collate_lora_metadata(models) if with_settings else {}
    StableDiffusionPipeline.save_lora_weights(folder, **layers, **settings)
    return folder / NAME


def components(pipeline):
    return {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}


def check_against_diffusers(file):
    pipeline = tiny_pipeline()
    before = weights_of(**components(pipeline))
    lora = read_lora(file, targets_of(**components(pipeline)))
    after = fused(pipeline, file)
    assert largest_difference(before, after) > 1e-3
    assert largest_difference(applied(lora, before), after) <= CLOSE
    return lora


@pytest.mark.parametrize("with_settings", [True, False])
def test_a_file_changes_what_diffusers_changes(with_settings, tmp_path):
    lora = check_against_diffusers(save(tmp_path, with_settings=with_settings))
    assert set(lora.parts) == {"unet", "text_encoder"}
    assert lora.ranks == (2, 3, 4)


def test_the_folder_of_a_lone_file_will_do(saved):
    pipeline = tiny_pipeline()
    lora = read_lora(saved.parent, targets_of(**components(pipeline)))
    assert set(lora.parts) == {"unet", "text_encoder"}


def test_a_file_for_stable_diffusion_3_changes_what_diffusers_changes(tmp_path):
    transformer = tiny_sd3()
    before = weights_of(transformer=transformer)
    transformer.add_adapter(LoraConfig(r=4, lora_alpha=6, target_modules=["to_q", "ff.net.2", "pos_embed.proj"]))
    randomise(transformer)
    layers = get_peft_model_state_dict(transformer)
    StableDiffusion3Pipeline.save_lora_weights(
        tmp_path,
        transformer_lora_layers=layers,
        transformer_lora_adapter_metadata=transformer.peft_config["default"].to_dict(),
    )
    transformer.fuse_lora()
    transformer.unload_lora()
    lora = read_lora(tmp_path, targets_of(transformer=tiny_sd3()))
    assert largest_difference(applied(lora, before), weights_of(transformer=transformer)) <= CLOSE


def test_a_model_that_saves_its_own_adapter_names_no_component(tmp_path):
    unet = tiny_unet()
    before = weights_of(unet=unet)
    unet.add_adapter(UNET_LORA)
    randomise(unet)
    unet.save_lora_adapter(tmp_path)
    unet.fuse_lora()
    unet.unload_lora()
    lora = read_lora(tmp_path, targets_of(**components(tiny_pipeline())))
    assert largest_difference(applied(lora, before), weights_of(unet=unet)) <= CLOSE


def test_the_names_of_earlier_years_are_understood(tmp_path):
    luck = torch.Generator().manual_seed(5)
    unet = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_{}_lora.{}.weight"
    text = "text_encoder.text_model.encoder.layers.0.self_attn.to_{}_lora.{}.weight"
    file = tmp_path / "old.safetensors"
    tensors = {
        name.format(which, way): torch.randn((2, 16) if way == "down" else (16, 2), generator=luck) * 0.1
        for name in (unet, text)
        for which in ("q", "k", "v", "out")
        for way in ("down", "up")
    }
    save_file(tensors, file)
    lora = check_against_diffusers(file)
    assert set(lora.parts["text_encoder"]) == {
        f"encoder.layers.0.self_attn.{leaf}" for leaf in ("q_proj", "k_proj", "v_proj", "out_proj")
    }


def test_the_names_of_last_year_are_understood(saved):
    tensors = load_file(saved)
    text = {key.removeprefix("text_encoder."): tensors.pop(key) for key in list(tensors) if key.startswith("text_enc")}
    text = {f"text_encoder.text_model.{key}": value for key, value in convert_state_dict_to_diffusers(text).items()}
    assert any(".lora_linear_layer." in key for key in text)
    unet = {
        key.replace(".lora_A.", ".lora.down.").replace(".lora_B.", ".lora.up."): value for key, value in tensors.items()
    }
    save_file(unet | text, saved)
    check_against_diffusers(saved)


def test_alpha_may_stand_in_a_tensor(saved):
    tensors = load_file(saved)
    before = read_lora(saved, targets_of(**components(tiny_pipeline()))).parts["unet"]["mid_block.resnets.0.conv1"]
    save_file(tensors | {"unet.mid_block.resnets.0.conv1.alpha": torch.tensor(7.0)}, saved)
    after = read_lora(saved, targets_of(**components(tiny_pipeline()))).parts["unet"]["mid_block.resnets.0.conv1"]
    assert (before.scale, after.scale) == (1.0, 7.0 / 2)


@pytest.mark.parametrize("settings", ["{", "[]", json.dumps({"unet.r": 7}), json.dumps({"unet.use_dora": True})])
def test_wrong_settings_in_the_header_are_refused(settings, saved):
    save_file(load_file(saved), saved, metadata={"format": "pt", "lora_adapter_metadata": settings})
    with pytest.raises(AdapterFileError, match=NAME):
        read_lora(saved, targets_of(**components(tiny_pipeline())))
