"""`python -m safelight.worker.calibration --model DIR`: measures a model, and writes its profile to standard output."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from safelight.core.errors import GateFileError, ModelFolderError, PlacementError
from safelight.core.version import __version__
from safelight.profiles.calibration import Calibrated, Calibrating, Judged
from safelight.worker.lifeline import die_with_parent


def main() -> int:
    """Measure the named model; returns the exit status."""
    die_with_parent()
    arguments = _parser().parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        done = _judged(arguments) if arguments.quality else _calibrated(arguments)
    except (GateFileError, ModelFolderError, PlacementError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _say(done)
    return 0


def _calibrated(arguments: argparse.Namespace) -> Calibrated:
    import diffusers
    import torch

    from safelight.diffusion.engine import DiffusionEngine
    from safelight.diffusion.placement import find_placement
    from safelight.worker.calibration.measuring import Calibration

    placement = find_placement(arguments.device, arguments.dtype, number=arguments.number)
    engine = DiffusionEngine.load(
        [arguments.model],
        placement=placement,
        threads=arguments.threads,
        max_denoiser_rows=arguments.max_denoiser_rows,
    )
    calibration = Calibration(
        engine,
        adapters=_adapters_in(arguments.adapters),
        folder=arguments.model,
        max_denoiser_rows=arguments.max_denoiser_rows,
        placement=placement,
        note=lambda done, total: _say(Calibrating(done=done, total=total)),
    )
    profile = calibration.profile(
        device=arguments.device_name,
        source=f"safelight calibrate {__version__}, torch {torch.__version__}, diffusers {diffusers.__version__}",
    )
    return Calibrated(profile=profile)


def _judged(arguments: argparse.Namespace) -> Judged:
    from safelight.diffusion.engine import DiffusionEngine
    from safelight.diffusion.folder import fingerprint
    from safelight.diffusion.gates.scorer import load_gate
    from safelight.diffusion.placement import find_placement
    from safelight.worker.calibration.quality import Cascading, QualityMeasurement

    placement = find_placement(arguments.device, arguments.dtype, number=arguments.number)
    load = partial(
        DiffusionEngine.load,
        placement=placement,
        threads=arguments.threads,
        max_denoiser_rows=arguments.max_denoiser_rows,
    )
    cascading = None
    if arguments.gate is not None:
        weights = {folder.resolve().name: fingerprint(folder) for folder in (arguments.model, arguments.heavy)}
        cascading = Cascading(gate=load_gate(arguments.gate, weights), load_heavy=lambda: load([arguments.heavy]))
    measurement = QualityMeasurement(
        load([arguments.model]),
        pictures=arguments.quality,
        steps=arguments.steps,
        cascading=cascading,
        note=lambda done, total: _say(Calibrating(done=done, total=total)),
    )
    return Judged(figures=measurement.figures())


def _adapters_in(folders: Sequence[Path]) -> list[Path]:
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]


def _say(message: Calibrating | Calibrated | Judged) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m safelight.worker.calibration", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a diffusers folder")
    parser.add_argument("--adapters", type=Path, action="append", default=[], help="a folder of adapters; repeatable")
    parser.add_argument("--max-denoiser-rows", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto", help="a device as torch calls it, or auto")
    parser.add_argument("--dtype", default="auto", help="float32, bfloat16, float16 or auto")
    parser.add_argument("--device-name", default="", help="the device's name in the profile")
    parser.add_argument("--quality", type=int, default=0, metavar="PICTURES", help="judge so many pictures instead")
    parser.add_argument("--steps", type=int, action="append", default=[], help="a level to judge; repeatable")
    parser.add_argument("--gate", type=Path, help="a gate after the model, to judge")
    parser.add_argument("--heavy", type=Path, help="the gate's heavy model, a diffusers folder")
    parser.add_argument("--number", type=int, default=0, help="of this process; processes take turns over the GPUs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
