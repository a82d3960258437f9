"""Loads of files of different sizes, for `safelight calibrate`."""

import pytest
from safetensors.torch import load_file

from safelight.local.model_folders import SHIPPED_ADAPTERS
from safelight.worker.calibration.loads import line_through, smaller_lora


def test_what_is_the_same_for_all_loads_is_told_from_what_grows_with_bytes():
    load = line_through((100, 2.0), (300, 4.0))
    assert (load.constant_s, load.s_per_byte) == (pytest.approx(1.0), pytest.approx(0.01))


@pytest.mark.parametrize("small", [None, (300, 4.0), (100, 5.0)], ids=["none", "as large", "slower"])
def test_a_load_that_tells_nothing_keeps_the_seconds_of_the_other(small):
    load = line_through(small, (300, 4.0))
    assert min(load.constant_s, load.s_per_byte) >= 0
    assert load.seconds(300) == pytest.approx(4.0)


@pytest.mark.parametrize("name", ["neon", "mint.safetensors"])
def test_a_part_of_a_lora_has_the_tensors_of_its_first_module(name, tmp_path):
    made = smaller_lora(SHIPPED_ADAPTERS / name, tmp_path)
    (file,) = [made] if made.is_file() else made.rglob("*.safetensors")
    tensors = load_file(file)
    assert 1 < len(tensors) <= 3
    assert len({tensor.split(".lora")[0].removesuffix(".alpha") for tensor in tensors}) == 1
