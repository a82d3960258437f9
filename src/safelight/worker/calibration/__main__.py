"""`python -m safelight.worker.calibration --model DIR`: measures a model, and writes its profile to standard output."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from safelight.core.errors import ModelFolderError, PlacementError
from safelight.core.version import __version__
from safelight.profiles.calibration import Calibrated, Calibrating
from safelight.worker.lifeline import die_with_parent


def main() -> int:
    """Measure the named model; returns the exit status."""
    die_with_parent()
    arguments = _parser().parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        profile = _calibrated(arguments)
    except (ModelFolderError, PlacementError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _say(profile)
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


def _adapters_in(folders: Sequence[Path]) -> list[Path]:
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]


def _say(message: Calibrating | Calibrated) -> None:
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
    parser.add_argument("--number", type=int, default=0, help="of this process; processes take turns over the GPUs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
