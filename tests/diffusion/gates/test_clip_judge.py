"""Judging pictures by CLIP."""

import json
from copy import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from safelight.core.errors import ModelFolderError, RequestError
from safelight.diffusion.gates.clip_judge import SCALE, ClipJudge, clip_encoders
from safelight.diffusion.gates.judge_names import load_judge
from safelight.diffusion.training.tokenizer import make_tokenizer
from safelight.shapes.caption import caption_of
from safelight.shapes.render import render
from safelight.shapes.sampling import draw_scene


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip")
    tokenizer = make_tokenizer()
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": tokenizer.model_max_length,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = CLIPConfig(
        text_config=tiny | text, vision_config=tiny | {"image_size": 32, "patch_size": 8}, projection_dim=8
    )
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def scenes() -> tuple[np.ndarray, list[str]]:
    drawn = [draw_scene(np.random.default_rng(seed), objects=1) for seed in range(6)]
    return np.stack([render(scene) for scene in drawn]), [caption_of(scene.description) for scene in drawn]


def test_clip_scores_are_the_models_own_similarity(clip_folder: Path, scenes: tuple[np.ndarray, list[str]]) -> None:
    pictures, captions = scenes
    judge = ClipJudge(folder=clip_folder)
    clip = judge.encoders
    tokens = clip.tokenizer(captions, padding=True, return_tensors="pt")
    sized = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    sized = torch.nn.functional.interpolate(sized, size=(32, 32), mode="bicubic", antialias=True).clamp(0, 1)
    pixels = (sized - torch.tensor(clip.mean).view(3, 1, 1)) / torch.tensor(clip.deviation).view(3, 1, 1)
    seen = clip.network(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, pixel_values=pixels)
    similar = (seen.logits_per_image / clip.network.logit_scale.exp()).diagonal()
    own = [judge.look(picture).value(caption) for picture, caption in zip(pictures, captions, strict=True)]
    assert own == pytest.approx((SCALE * similar).clamp(0, 1).numpy(), abs=1e-5)


def test_a_picture_suits_from_the_least_score_on(clip_folder: Path, scenes: tuple[np.ndarray, list[str]]) -> None:
    pictures, captions = scenes
    value = ClipJudge(folder=clip_folder).look(pictures[0]).value(captions[0])
    for least, suits in ((value, True), (value + 1e-6, False)):
        assert ClipJudge(folder=clip_folder, least=least).look(pictures[0]).suits(captions[0]) is suits


def test_a_copy_of_a_judge_leaves_its_model_behind(clip_folder: Path) -> None:
    judge = ClipJudge(folder=clip_folder)
    assert judge.encoders is clip_encoders(clip_folder)
    assert vars(copy(judge)) == {"folder": clip_folder, "least": judge.least}


@pytest.mark.parametrize("name", ["sceen", "clip", "scene:folder"])
def test_a_judge_that_is_named_wrongly_is_refused(name: str) -> None:
    with pytest.raises(RequestError):
        load_judge(name)


def test_a_folder_without_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="no model folder"):
        load_judge(f"clip:{tmp_path / 'none'}")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(ModelFolderError, match="'t5'"):
        load_judge(f"clip:{tmp_path}")
