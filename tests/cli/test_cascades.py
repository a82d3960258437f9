"""`safelight cascade build`."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from diffusion.makers import write_stable_diffusion
from safelight.cascade.router import Router
from safelight.cli.cascade_building import BuildPlan, build_cascades
from safelight.cli.main import main
from safelight.profiles.cascade_file import read_cascades
from safelight.profiles.gate_file import read_gate

SMALL_SIDE, LARGE_SIDE = 32, 64
PROMPTS = [f"a {colour} boat number {number}" for number in range(20) for colour in ("red", "blue")]


class BySizeVerdicts:
    """The large pictures are good; of the small ones, those of prompts with some luck."""

    def __init__(self, side: int) -> None:
        self._is_large = side == LARGE_SIDE

    def suits(self, prompt: str) -> bool:
        return self._is_large or zlib.crc32(prompt.encode()) % 2 == 0

    def value(self, prompt: str) -> float:
        return float(self.suits(prompt))

    def words(self, prompt: str) -> dict[int, bool]:
        return {}

    def objects(self) -> tuple[tuple[int, ...], ...]:
        return ()


class BySize:
    name = "by size"

    def look(self, picture: np.ndarray) -> BySizeVerdicts:
        return BySizeVerdicts(len(picture))


def write_model(folder: Path, *, side: int, steps: int) -> Path:
    write_stable_diffusion(folder)
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps(config | {"sample_size": side // 2}))
    (folder / "safelight.json").write_text(json.dumps({"steps": steps, "guidance_scale": 1.0}))
    return folder


def test_a_gate_with_a_router_is_trained_for_each_sensible_pair_and_the_rest_follows(tmp_path: Path) -> None:
    plan = BuildPlan(
        folders={
            "light": write_model(tmp_path / "light", side=SMALL_SIDE, steps=1),
            "heavy": write_model(tmp_path / "heavy", side=LARGE_SIDE, steps=4),
        },
        prompts=PROMPTS,
        judge=BySize(),
        folder=tmp_path / "runs",
        output=tmp_path / "cascade.toml",
        steps=1,
        threads=1,
    )
    built = build_cascades(plan, Progress(disable=True))
    assert built.tried == [("light", "heavy")]
    gate = read_gate(tmp_path / "cascade-gates" / "light-heavy.safetensors")
    assert (gate.card.light, gate.card.heavy, gate.card.judge) == ("light", "heavy", "by size")
    assert Router.from_arrays(gate.router) is not None
    assert plan.output.exists() == bool(built.cascades)
    assert not built.cascades or list(read_cascades(plan.output)) == built.cascades


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ("shapes-small", "two or more"),
        ("shapes-small,shapes-small", "two or more"),
        ("shapes-small,shapes-huge", "did you mean"),
    ],
)
def test_models_that_make_no_cascade_are_refused(models: str, says: str, tmp_path: Path, capsys) -> None:
    assert main(["cascade", "build", "--models", models, "-o", str(tmp_path / "cascade.toml")]) != 0
    assert says in " ".join(capsys.readouterr().err.split())
