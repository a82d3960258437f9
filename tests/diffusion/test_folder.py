"""Model folders that cannot be served say why."""

import json
import shutil
from pathlib import Path

import pytest

import safelight
from safelight.core.errors import ModelFolderError
from safelight.diffusion.engine import DiffusionEngine

SMALL = Path(safelight.__file__).parent / "models" / "shapes-small"


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(shutil.copytree(SMALL, tmp_path / "model"))


def refusal(*folders: Path) -> str:
    with pytest.raises(ModelFolderError) as caught:
        DiffusionEngine.load(folders)
    return str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    assert "no model folder" in refusal(tmp_path / "nowhere")


def test_a_folder_without_an_index_is_no_model(tmp_path):
    assert "model_index.json' is missing" in refusal(tmp_path)


def test_truncated_weights_are_named(folder):
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:10_000])
    message = refusal(folder)
    assert str(weights) in message
    assert "cut short" in message


def test_pickled_weights_are_not_touched(folder):
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    assert "reads no other weights" in refusal(folder)


def test_another_pipeline_is_refused_by_class(folder):
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"_class_name": "KandinskyPipeline"}))
    assert "'KandinskyPipeline'" in refusal(folder)


def test_a_part_from_foreign_code_is_refused(folder):
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"transformer": ["my_code", "MyNet"]}))
    assert "'MyNet'" in refusal(folder)


def test_a_tokenizer_that_brings_code_is_refused(folder):
    config = folder / "tokenizer" / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoTokenizer": "evil.Tokenizer"}}))
    assert "code of its own" in refusal(folder)


def test_weights_of_the_wrong_shape_are_refused(folder):
    config = folder / "transformer" / "config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"num_attention_heads": 5, "caption_projection_dim": 160})
    )
    assert "cannot be loaded" in refusal(folder)


def test_two_folders_of_one_name_are_refused(folder, tmp_path):
    twin = shutil.copytree(SMALL, tmp_path / "other" / "model")
    assert "Two model folders are called 'model'" in refusal(folder, Path(twin))


def test_settings_with_an_unknown_sampler_are_refused(folder):
    (folder / "safelight.json").write_text('{"sampler": "magic"}')
    assert "'magic'" in refusal(folder)


def test_settings_with_an_unknown_field_are_refused(folder):
    (folder / "safelight.json").write_text('{"speed": 3}')
    assert "not a valid settings file" in refusal(folder)
