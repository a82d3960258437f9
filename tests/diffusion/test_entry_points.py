"""Another package adds a sampler and a family through entry points, and both are served like our own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import safelight

SOURCE = Path(safelight.__file__).parents[1]
SMALL = SOURCE / "safelight" / "models" / "shapes-small"

METADATA = """\
Metadata-Version: 2.1
Name: fake
Version: 1.0
"""

ENTRY_POINTS = """\
[safelight.samplers]
counting = fake:COUNTING

[safelight.families]
two-steps = fake:TWO_STEPS
"""

MODULE = """\
from dataclasses import replace

from safelight.diffusion.families.defaults import GenerationDefaults
from safelight.diffusion.families.stable_diffusion_3 import STABLE_DIFFUSION_3
from safelight.diffusion.samplers.euler import EULER

STEPS = []


def step(latents, x0, now, after, previous):
    STEPS.append(len(latents))
    return EULER.step(latents, x0, now, after, previous)


def compose(folder):
    defaults = GenerationDefaults(steps=2, guidance_scale=1.0, sampler="counting")
    return replace(STABLE_DIFFUSION_3.compose(folder), defaults=defaults)


COUNTING = replace(EULER, name="counting", step=step)
TWO_STEPS = replace(STABLE_DIFFUSION_3, name="two-steps", pipeline="TwoStepsPipeline", compose=compose)
"""

PAINT = """\
import json
import sys
from pathlib import Path

from fake import STEPS
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import make_job, paint

engine = DiffusionEngine.load([Path(sys.argv[1])], max_denoiser_rows=1, lora_ranks=0)
(spec,) = engine.models
(picture,) = paint(engine, [make_job(engine.models, "a large red circle", model=spec.name, seed=1)])
report = {"family": spec.family, "samplers": spec.samplers, "steps": STEPS, "size": [picture.width, picture.height]}
print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """What a process reports that has the package installed, and paints with its family and its sampler."""
    folder = tmp_path_factory.mktemp("installed")
    model = Path(shutil.copytree(SMALL, folder / "model"))
    (model / "safelight.json").unlink()
    index = json.loads((model / "model_index.json").read_text())
    (model / "model_index.json").write_text(json.dumps(index | {"_class_name": "TwoStepsPipeline"}))
    about = folder / "fake-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(METADATA)
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "fake.py").write_text(MODULE)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (folder, SOURCE)))}
    done = subprocess.run(
        [sys.executable, "-c", PAINT, str(model)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_folder_of_an_installed_family_is_served(painted):
    assert (painted["family"], painted["size"]) == ("two-steps", [64, 64])


def test_an_installed_sampler_takes_every_step_of_a_row(painted):
    assert painted["steps"] == [1, 1]


def test_an_installed_sampler_is_listed_after_our_own(painted):
    assert painted["samplers"] == ["ddim", "euler", "dpm++2m", "counting"]
