"""Sheets that show what an adapter does, prompt by prompt."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from safelight.core.adapter import AdapterHandle, LoraUse
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.evaluation.adapter_painter import DiffusersPainter
from safelight.diffusion.paint import make_job, paint_all
from safelight.diffusion.training.export import SHEET_CAPTIONS, SHEET_SEED
from safelight.shapes.caption import caption_of
from safelight.shapes.controls import CONTROLS
from safelight.shapes.sampling import draw_scene


def write_style_sheet(model: Path, lora: Path, path: Path, *, columns: int) -> None:
    """Paint the first `SHEET_CAPTIONS`, a column each: without the LoRA above, with it below."""
    rows = [DiffusersPainter(model).paint(SHEET_CAPTIONS[:columns], seed=SHEET_SEED)]
    rows.append(DiffusersPainter(model, lora=lora).paint(SHEET_CAPTIONS[:columns], seed=SHEET_SEED))
    _write(rows, path)


def write_styles(model: Path, loras: Mapping[str, Path], path: Path, *, columns: int) -> None:
    """Paint the first `SHEET_CAPTIONS`, a column each: a row without LoRAs, and one with each."""
    engine = DiffusionEngine.load([model])
    handles = tuple(AdapterHandle(name=name, generation=1) for name in loras)
    for handle in handles:
        engine.load_adapter(handle, engine.read_adapter(handle.name, loras[handle.name])[1])
    jobs = []
    for uses in [(), *((LoraUse(name=name, scale=1.0),) for name in loras)]:
        for column, caption in enumerate(SHEET_CAPTIONS[:columns]):
            plain = make_job(engine.models, caption, model=model.name, seed=SHEET_SEED + column)
            request = msgspec.structs.replace(plain.request, id=f"{column}-{uses}", loras=uses)
            jobs.append(msgspec.structs.replace(plain, request=request, adapters=handles))
    pictures = paint_all(engine, jobs)
    arrays = [np.frombuffer(one.rgb, np.uint8).reshape(one.height, one.width, 3) for one in pictures]
    _write([arrays[start : start + columns] for start in range(0, len(arrays), columns)], path)


def write_control_sheet(model: Path, kind: str, controlnet: Path, path: Path, *, columns: int) -> None:
    """Paint drawn scenes, a column each: the control, the picture without it, and the picture with it."""
    rng = np.random.default_rng(SHEET_SEED)
    scenes = [draw_scene(rng, objects=1 + number % 2) for number in range(columns)]
    captions = [caption_of(scene.description) for scene in scenes]
    controls = [CONTROLS[kind](scene) for scene in scenes]
    plain = DiffusersPainter(model).paint(captions, seed=SHEET_SEED)
    steered = DiffusersPainter(model, controlnet=controlnet).paint(captions, seed=SHEET_SEED, controls=controls)
    _write([controls, plain, steered], path)


def _write(rows: list[list[np.ndarray]], path: Path) -> None:
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)
    Image.fromarray(sheet).save(path)
