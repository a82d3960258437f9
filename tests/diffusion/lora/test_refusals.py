"""What must not be read says why; and no damage does worse than that."""

import os
import re
import struct
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file

from diffusion.lora.tiny import tiny_text_encoder, tiny_unet
from safelight.core.errors import AdapterFileError
from safelight.diffusion.lora.checks import LARGEST_FILE_BYTES, MOST_ENTRIES, PICKLE_SUFFIXES
from safelight.diffusion.lora.reading import read_lora
from safelight.diffusion.lora.targets import lora_targets

TARGETS = {"unet": lora_targets(tiny_unet()), "text_encoder": lora_targets(tiny_text_encoder())}
MODULE = "mid_block.attentions.0.proj_in"
LAYER = f"unet.{MODULE}"
OUTPUTS, INPUTS = 16, 16
KERNEL = (1, 1)


def factors(**changes):
    """One whole LoRA of a convolution, in diffusers' names."""
    tensors = {"lora_A": torch.ones(2, INPUTS, *KERNEL), "lora_B": torch.ones(OUTPUTS, 2, 1, 1)} | changes
    return {f"{LAYER}.{half}.weight": tensor for half, tensor in tensors.items()}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "adapter" / "style.safetensors"
    path.parent.mkdir()
    save_file(factors(), path)
    return path


def refusal(path):
    with pytest.raises(AdapterFileError) as caught:
        read_lora(path, TARGETS)
    return str(caught.value)


def test_the_sound_file_is_read(file):
    assert list(read_lora(file, TARGETS).parts["unet"]) == [MODULE]


def test_nothing_there_is_named(tmp_path):
    assert f"no adapter at {str(tmp_path / 'nowhere')!r}" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_an_impossible_path_is_refused(name, tmp_path):
    assert "no adapter at" in refusal(tmp_path / name)


def test_an_empty_folder_is_refused(tmp_path):
    assert "holds no .safetensors file" in refusal(tmp_path)


@pytest.mark.parametrize("suffix", sorted(PICKLE_SUFFIXES))
def test_pickles_are_refused_by_name_even_beside_sound_weights(suffix, file):
    pickled = file.with_suffix(suffix.upper())
    pickled.write_bytes(b"")
    assert f"{str(pickled)!r} is a pickle" in refusal(file.parent)


def test_a_zipped_pickle_is_refused_whatever_its_name(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    assert "is a pickle" in refusal(file)


@pytest.mark.parametrize("opening", [b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"\x80\x04\x95\0\0\0\0\0\0\0\0."])
def test_a_bare_pickle_is_refused_whatever_its_name(opening, file):
    file.write_bytes(opening)
    assert "is a pickle" in refusal(file)


def test_a_link_to_a_file_is_refused(file, tmp_path):
    link = tmp_path / "link.safetensors"
    link.symlink_to(file)
    assert "symbolic link" in refusal(link)


def test_a_link_to_a_folder_is_refused(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file.parent)
    assert "symbolic link" in refusal(link)


def test_a_link_within_the_folder_is_refused(file):
    (file.parent / "twin.safetensors").symlink_to(file.name)
    message = refusal(file.parent)
    assert "symbolic link" in message
    assert "outside" not in message


@pytest.mark.parametrize("goal", ["/etc/passwd", "../../secret", "missing/../../../other"])
def test_a_link_out_of_the_folder_is_refused_as_such(goal, file):
    (file.parent / "unet").mkdir()
    (file.parent / "unet" / "adapter_config.json").symlink_to(goal)
    assert "outside of the adapter" in refusal(file.parent)


def test_a_link_to_itself_is_refused(file):
    (file.parent / "loop").symlink_to("loop")
    assert "symbolic link" in refusal(file.parent)


def test_what_is_no_plain_file_is_refused(file):
    os.mkfifo(file.parent / "pipe.safetensors")
    assert "neither a file nor a folder" in refusal(file.parent)


def test_a_folder_of_far_too_many_files_is_refused(file):
    for index in range(MOST_ENTRIES):
        (file.parent / f"{index}.txt").touch()
    assert f"more than {MOST_ENTRIES} files" in refusal(file.parent)


def test_a_huge_file_is_refused_unread(file):
    os.truncate(file, LARGEST_FILE_BYTES + 1)
    assert f"may have {LARGEST_FILE_BYTES}" in refusal(file)


def test_several_files_without_settings_are_ambiguous(file):
    save_file(factors(), file.with_name("other.safetensors"))
    assert "several weights files, 'other.safetensors', 'style.safetensors'" in refusal(file.parent)


def test_a_huge_header_is_refused_unread(file):
    file.write_bytes(struct.pack("<Q", 1 << 40) + b"{")
    assert f"header has {1 << 40} bytes" in refusal(file)


def test_a_model_is_no_adapter(file):
    save_file({"conv_in.weight": torch.ones(3), "conv_in.bias": torch.ones(3)}, file)
    message = refusal(file)
    assert "no LoRA that Safelight knows" in message
    assert "'conv_in.weight'" in message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lora_A": torch.ones(2, 8, *KERNEL)}, r"weight is \(16, 16, 1, 1\)"),
        ({"lora_A": torch.ones(2, INPUTS, 3, 3)}, r"weight is \(16, 16, 1, 1\)"),
        ({"lora_B": torch.ones(8, 2, 1, 1)}, r"weight is \(16, 16, 1, 1\)"),
        ({"lora_A": torch.ones(2, INPUTS)}, "a convolution takes two factors of 4 dimensions"),
        ({"lora_A": torch.ones(0, INPUTS, *KERNEL), "lora_B": torch.ones(OUTPUTS, 0, 1, 1)}, "4 dimensions"),
        ({"lora_A": torch.tensor(1.0), "lora_B": torch.tensor(1.0)}, "4 dimensions"),
        ({"lora_A": torch.ones(3, INPUTS, *KERNEL)}, "down has rank 3 and up has rank 2"),
        ({"lora_A": torch.ones(2, INPUTS, *KERNEL, dtype=torch.int32)}, "dtype I32"),
        ({"lora_B": torch.ones(OUTPUTS, 2, 1, 1).to(torch.float8_e4m3fn)}, "dtype F8_E4M3"),
        ({"lora_A": torch.full((2, INPUTS, *KERNEL), torch.nan)}, "NaN or infinity"),
        ({"lora_B": torch.full((OUTPUTS, 2, 1, 1), -torch.inf, dtype=torch.bfloat16)}, "NaN or infinity"),
    ],
)
def test_factors_that_cannot_be_applied_are_refused(changes, reason, file):
    save_file(factors(**changes), file)
    assert re.search(reason, refusal(file))


@pytest.mark.parametrize("alpha", [torch.nan, torch.inf])
def test_alpha_must_be_finite(alpha, file):
    save_file(factors() | {f"{LAYER}.alpha": torch.tensor(alpha)}, file)
    assert "it must be a finite number" in refusal(file)


@pytest.mark.parametrize("alpha", [torch.ones(2), torch.tensor(True), torch.ones(0)])  # noqa: FBT003 - a tensor of it
def test_alpha_must_be_one_number(alpha, file):
    save_file(factors() | {f"{LAYER}.alpha": alpha}, file)
    assert "it must be a single number" in refusal(file)


@pytest.mark.parametrize("half", ["lora_A", "lora_B"])
def test_half_a_layer_is_refused(half, file):
    tensors = factors()
    del tensors[f"{LAYER}.{half}.weight"]
    save_file(tensors, file)
    assert f"no {'down' if half == 'lora_A' else 'up'} factor" in refusal(file)


def test_a_layer_that_stands_twice_is_refused(file):
    again = {key.replace("lora_A", "lora.down").replace("lora_B", "lora.up"): value for key, value in factors().items()}
    save_file(factors() | again, file)
    assert "says one thing twice" in refusal(file)


def test_two_spellings_of_one_layer_are_refused(file):
    luck = {"down": torch.ones(2, 16), "up": torch.ones(16, 2)}
    layer = "text_encoder.{}encoder.layers.0.self_attn.q_proj.lora.{}.weight"
    save_file({layer.format(level, half): luck[half].clone() for level in ("", "text_model.") for half in luck}, file)
    assert "of the text_encoder twice" in refusal(file)


@pytest.mark.parametrize(
    ("wrong", "right"), [("mid_block.attentions.0.proj_im", MODULE), ("conv_norm_out", "conv_out")]
)
@pytest.mark.parametrize("make", ["diffusers", "kohya"])
def test_an_unknown_layer_is_answered_with_the_nearest_real_one(wrong, right, make, file):
    names = {"lora_A": "lora_down", "lora_B": "lora_up"} if make == "kohya" else {}
    layer = f"lora_unet_{wrong.replace('.', '_')}" if make == "kohya" else f"unet.{wrong}"
    save_file({f"{layer}.{names.get(half, half)}.weight": torch.ones(2, 2) for half in ("lora_A", "lora_B")}, file)
    assert f"the nearest is {right!r}" in refusal(file)


def test_an_adapter_for_a_part_that_the_model_lacks_is_refused(file):
    save_file({key.replace("unet.", "transformer."): value for key, value in factors().items()}, file)
    assert "changes the 'transformer' of a model, but this model has unet, text_encoder only" in refusal(file)


SOUND = save(factors() | {f"{LAYER}.alpha": torch.tensor(2.0)}, metadata={"lora_adapter_metadata": '{"unet.r": 2}'})


def never_worse_than_refused(folder, data):
    path = folder / "damaged.safetensors"
    path.write_bytes(data)
    try:
        read = read_lora(path, TARGETS)
    except AdapterFileError:
        return
    assert all(torch.isfinite(change.delta()).all() for part in read.parts.values() for change in part.values())


@settings(max_examples=100)
@given(st.integers(0, len(SOUND) - 1))
def test_a_file_cut_short_is_refused(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("cut") / "cut.safetensors"
    path.write_bytes(SOUND[:length])
    refusal(path)


@settings(max_examples=300)
@given(st.dictionaries(st.integers(0, len(SOUND) - 1), st.integers(0, 255), min_size=1, max_size=4))
def test_changed_bytes_are_read_or_refused(tmp_path_factory, changes):
    data = bytearray(SOUND)
    for place, byte in changes.items():
        data[place] = byte
    never_worse_than_refused(tmp_path_factory.mktemp("changed"), bytes(data))


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_rubbish_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("rubbish") / "rubbish.safetensors"
    path.write_bytes(struct.pack("<Q", len(data)) + b"{" + data)
    refusal(path)
