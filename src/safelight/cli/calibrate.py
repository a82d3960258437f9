"""`safelight calibrate`: measure a model on this machine."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from safelight.cli.console import notes, progress_bar
from safelight.cli.errors import Misuse
from safelight.cli.extras import need_serve_extra
from safelight.cli.option_groups import grouped
from safelight.cli.options import AsJson
from safelight.cli.output_files import check_output_files
from safelight.cli.profiles import read_profile
from safelight.cli.quality_options import QualityOptions
from safelight.local.launch import compute_options
from safelight.local.model_folders import SHIPPED_ADAPTERS, model_folders
from safelight.oneshot.calibration import CalibrationPlan, measure_quality
from safelight.oneshot.calibration import calibrate as measure
from safelight.profiles.profile import Profile

calibrating = typer.Typer()


@calibrating.command(
    epilog="Examples:\n\nsafelight calibrate --model shapes-large -o shapes-large.toml\n\n"
    "safelight calibrate --model path/to/a/diffusers/folder --workers 2 -o profile.toml\n\n"
    "safelight calibrate --model shapes-small --json\n\n"
    "safelight calibrate --model shapes-small --quality -o shapes-small.toml\n\n"
    "safelight calibrate --model shapes-small --quality --times shapes-small.toml -o shapes-small.toml"
)
@grouped
def calibrate(
    *,
    model: Annotated[list[str], typer.Option(metavar="NAME|DIR", help="A shipped model, or a diffusers folder.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the profile here.")
    ] = None,
    adapters: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="A folder whose first LoRA and ControlNet that fit are measured too; repeatable."
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes that measure side by side, like those of a server.")
    ] = 1,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="CPU threads of each process.")] = 1,
    device: Annotated[str, typer.Option(help="A device as torch calls it, or auto.")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16 or auto.")] = "auto",
    judging: QualityOptions,
    as_json: AsJson = False,
) -> None:
    """Measure a model on this machine, and write its profile for the simulator; it takes some minutes at most.

    Measured are calls of 1 to 32 rows at three sizes, encoding, decoding, loads and folds of a LoRA, a ControlNet,
    memory, and how much times differ. Run it while nothing else runs. With --quality, pictures of held-out captions
    are judged at several numbers of steps, from earlier pictures, and after a gate; it takes some minutes more.
    """
    need_serve_extra()
    if len(model) > 1:
        raise Misuse(f"--model names {len(model)} models, and a profile is of one; calibrate them one after the other.")
    (folder,) = model_folders(model)
    check_output_files([output] if output is not None else [])
    options = compute_options(device=device, dtype=dtype, threads=threads)
    quality = judging.plan(folder, options)
    if judging.times is not None:
        profile = _times_of(judging.times, folder, adapters)
    else:
        profile = _measured(
            CalibrationPlan(
                model=folder, adapters=_folders(adapters), options=options, threads=threads, workers=workers
            )
        )
    if quality is not None:
        with progress_bar(f"Judging pictures of {folder.name}") as note:
            profile = measure_quality(quality, note=note).in_profile(profile)
    _show(profile, output, as_json=as_json)


def _folders(adapters: list[Path] | None) -> tuple[Path, ...]:
    """Return where adapters are looked for; raises Misuse if there is no such folder."""
    if missing := [str(each) for each in adapters or () if not each.is_dir()]:
        raise Misuse(f"There is no folder {missing[0]!r} to find adapters in (--adapters).")
    return (*(adapters or ()), SHIPPED_ADAPTERS)


def _times_of(path: Path, folder: Path, adapters: list[Path] | None) -> Profile:
    """Return the profile that gives the times; raises Misuse if it is of another model."""
    if adapters:
        raise Misuse("--adapters are measured anew, and --times takes the times from a file; give one of them.")
    profile = read_profile(path)
    if profile.model != folder.resolve().name:
        raise Misuse(f"--times {path} is of {profile.model!r}, and --model is {folder.resolve().name!r}.")
    return profile


def _measured(plan: CalibrationPlan) -> Profile:
    with progress_bar(f"Measuring {plan.model.name}") as note:
        return measure(plan, note=note)


def _show(profile: Profile, output: Path | None, *, as_json: bool) -> None:
    """Write the profile to its file, and say on standard output or standard error what it is."""
    _write(profile.to_toml(), output)
    if as_json:
        print(msgspec.json.encode(profile).decode())
    elif output is None:
        print(profile.to_toml(), end="")
    else:
        call_s = profile.curve.seconds(2)
        notes.print(
            f"{profile.model} on {profile.device}: a call of 2 rows at {profile.width}x{profile.height} takes "
            f"{1000 * call_s:.1f} ms; the profile is in {output}",
            soft_wrap=True,
        )


def _write(text: str, output: Path | None) -> None:
    from safelight.reports.atomic_files import write_atomically

    if output is not None:
        write_atomically(output, lambda to: _put(to, text))


def _put(to: Path, text: str) -> None:
    to.write_text(text, encoding="utf-8")
