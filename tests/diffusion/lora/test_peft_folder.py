"""PEFT is the oracle: the base weight and our change make the weight that PEFT merges."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from diffusion.lora.tiny import (
    CLOSE,
    applied,
    largest_difference,
    randomise,
    targets_of,
    tiny_sd3,
    tiny_text_encoder,
    tiny_unet,
    weights_of,
)
from safelight.core.errors import AdapterFileError
from safelight.diffusion.lora.reading import read_lora

pytestmark = [
    # PEFT asks transformers in a way that is on its way out.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
    # A pattern that matches nothing is what is tested.
    pytest.mark.filterwarnings("ignore:The following .* keys did not match:RuntimeWarning"),
]

LAYERS = {
    "unet": ["to_q", "to_out.0", "ff.net.0.proj", "conv1", "conv_shortcut", "time_emb_proj", "proj_in", "conv_in"],
    "transformer": ["to_q", "add_k_proj", "ff.net.2", "norm1.linear", "pos_embed.proj"],
    "text_encoder": ["q_proj", "fc1"],
}
MODELS = {"unet": tiny_unet, "transformer": tiny_sd3, "text_encoder": tiny_text_encoder}


def save_adapter(component, folder, **fields):
    """Save a random adapter; return the weights before and after PEFT merges it."""
    model = MODELS[component]()
    before = weights_of(**{component: model})
    adapted = get_peft_model(model, LoraConfig(**({"target_modules": LAYERS[component]} | fields)))
    randomise(adapted)
    adapted.save_pretrained(folder)
    return before, weights_of(**{component: adapted.merge_and_unload()})


def targets():
    return targets_of(unet=tiny_unet(), text_encoder=tiny_text_encoder())


@pytest.mark.parametrize("component", MODELS)
def test_a_folder_changes_what_peft_changes(component, tmp_path):
    before, after = save_adapter(component, tmp_path, r=3, lora_alpha=5)
    lora = read_lora(tmp_path, targets_of(**{component: MODELS[component]()}))
    assert largest_difference(before, after) > 1e-3
    assert largest_difference(applied(lora, before), after) <= CLOSE


NAMES = ["to_q", "conv1", "^conv_in", "down_blocks.*conv1", r"down_blocks\.\d\.resnets.*", "attn1.to_q", "q", ".*"]


@settings(max_examples=15)
@given(
    ranks=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 5)),
    alphas=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 9)),
    rank=st.integers(1, 4),
    alpha=st.integers(1, 9),
    stabilised=st.booleans(),
)
def test_ranks_and_alphas_by_pattern_mean_what_they_mean_to_peft(
    tmp_path_factory, ranks, alphas, rank, alpha, stabilised
):
    folder = tmp_path_factory.mktemp("adapter")
    # PEFT sorts the patterns when it saves them, and the first one that matches counts.
    patterns = {"rank_pattern": dict(sorted(ranks.items())), "alpha_pattern": dict(sorted(alphas.items()))}
    before, after = save_adapter("unet", folder, r=rank, lora_alpha=alpha, use_rslora=stabilised, **patterns)
    assert largest_difference(applied(read_lora(folder, targets()), before), after) <= CLOSE


def test_one_sub_folder_per_component_is_one_adapter(tmp_path):
    unet_before, unet_after = save_adapter("unet", tmp_path / "unet", r=2)
    text_before, text_after = save_adapter("text_encoder", tmp_path / "text_encoder", r=4)
    lora = read_lora(tmp_path, targets())
    assert largest_difference(applied(lora, unet_before | text_before), unet_after | text_after) <= CLOSE
    assert lora.ranks == (2, 4)


@pytest.mark.parametrize("component", ["unet", "text_encoder"])
def test_a_folder_that_does_not_say_the_component_is_placed_by_its_modules(component, tmp_path):
    save_adapter(component, tmp_path)
    assert list(read_lora(tmp_path, targets()).parts) == [component]


def test_of_two_text_encoders_the_one_with_the_right_shapes_is_meant(tmp_path):
    save_adapter("text_encoder", tmp_path)
    other = tiny_text_encoder(width=32, projection=True)
    both = targets_of(text_encoder_2=other, text_encoder=tiny_text_encoder())
    assert list(read_lora(tmp_path, both).parts) == ["text_encoder"]


def test_a_folder_that_fits_two_components_is_refused(tmp_path):
    save_adapter("text_encoder", tmp_path)
    twins = targets_of(text_encoder=tiny_text_encoder(), text_encoder_2=tiny_text_encoder())
    with pytest.raises(AdapterFileError, match=r"text_encoder or the text_encoder_2; put it into a sub-folder"):
        read_lora(tmp_path, twins)


def refusal(folder, **changes):
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    with pytest.raises(AdapterFileError) as caught:
        read_lora(folder, targets())
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["conv_out"]}, "replaces whole modules"),
        ({"lora_bias": True}, "changes biases"),
        ({"bias": "lora_only"}, "changes no biases"),
        ({"peft_type": "LOHA"}, "of the kind 'LOHA'"),
        ({"peft_type": "LOKR"}, "of the kind 'LOKR'"),
        ({"init_lora_weights": "pissa_niter_4"}, "also changed the base model"),
        ({"init_lora_weights": []}, "also changed the base model"),
        ({"r": 0}, "`int` >= 1"),
        ({"r": "many"}, "got `str`"),
        ({"r": 5}, "settings say rank 5"),
        ({"rank_pattern": {"to_q": 3}}, "settings say rank 3"),
        ({"lora_alpha": float("nan")}, "JSON"),
        ({"lora_alpha": 10**400}, "out of range"),
        ({"alpha_pattern": {"(a+)+": 3}}, "runs no other regular expressions"),
    ],
)
def test_settings_of_more_than_plain_lora_are_refused(changes, reason, tmp_path):
    save_adapter("unet", tmp_path)
    assert reason in refusal(tmp_path, **changes)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"a":' * 100_000, " " * (1 << 20) + "{}"])
def test_broken_or_huge_settings_are_refused(text, tmp_path):
    save_adapter("unet", tmp_path)
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(AdapterFileError, match=r"adapter_config\.json"):
        read_lora(tmp_path, targets())


def test_settings_without_weights_are_refused(tmp_path):
    save_adapter("unet", tmp_path / "unet")
    save_adapter("text_encoder", tmp_path / "text_encoder")
    (tmp_path / "unet" / "adapter_model.safetensors").unlink()
    with pytest.raises(AdapterFileError, match=r"no adapter_model\.safetensors"):
        read_lora(tmp_path, targets())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"use_dora": True}, "belongs to DoRA"),
        ({"modules_to_save": ["conv_out"]}, "conv_out.bias', which is a bias"),
        ({"modules_to_save": ["to_k"]}, "to_k.weight', which is a whole weight"),
    ],
)
def test_tensors_of_more_than_plain_lora_are_refused_by_name_whatever_the_settings_say(fields, reason, tmp_path):
    save_adapter("unet", tmp_path, target_modules=["to_out.0"], **fields)
    assert reason in refusal(tmp_path, **dict.fromkeys(fields))
