"""`safelight profiles`: the profiles that come with the package, and what a profile says."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from safelight.cli.errors import Misuse
from safelight.cli.options import AsJson
from safelight.core.errors import ProfileError, nearest
from safelight.profiles.builtin import builtin_names, builtin_profile
from safelight.profiles.description import facts_of
from safelight.profiles.profile import Profile

profiles = typer.Typer(help="Show measurements of models on devices.", no_args_is_help=True)


@profiles.command("list", epilog="Examples:\n\nsafelight profiles list\n\nsafelight profiles list --json")
def list_profiles(*, as_json: AsJson = False) -> None:
    """List the profiles that come with the package; scenarios use them by name."""
    found = {name: builtin_profile(name) for name in builtin_names()}
    if as_json:
        print(msgspec.json.encode([_entry(name, profile) for name, profile in found.items()]).decode())
        return
    for name, profile in found.items():
        rows = sorted(time.denoiser_rows for time in profile.step_times)
        call_ms = 1000 * profile.curve.seconds(rows[0])
        print(
            f"{name}\n    {profile.model} on {profile.device}, {profile.width}x{profile.height}: calls of "
            f"{rows[0]} to {rows[-1]} rows, {call_ms:.1f} ms for {rows[0]}\n    {profile.source}"
        )


@profiles.command(
    "show",
    epilog="Examples:\n\nsafelight profiles show sdxl-h800\n\nsafelight profiles show shapes-large.toml\n\n"
    "safelight profiles show sdxl-h800 --toml > mine.toml",
)
def show_profile(
    profile: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A built-in profile, or a file.", show_default=False)
    ],
    *,
    toml: Annotated[bool, typer.Option("--toml", help="Print the profile as a file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show all figures of a profile with their source, and what it does not have."""
    if toml and as_json:
        raise Misuse("--toml and --json are two forms of the same; give one of them.")
    read = _read(profile)
    if toml:
        print(read.to_toml(), end="")
    elif as_json:
        print(msgspec.json.encode(read).decode())
    else:
        for name, value in facts_of(read):
            print(f"{name:<22} {value}")


def _entry(name: str, profile: Profile) -> dict[str, object]:
    return {"name": name, **{part: getattr(profile, part) for part in ("model", "device", "source", "width", "height")}}


def _read(given: str) -> Profile:
    """Return a built-in profile, or that of a file."""
    if given in builtin_names():
        return builtin_profile(given)
    if not Path(given).is_file():
        raise Misuse(f"{given!r} is neither a built-in profile nor a file; {nearest(given, builtin_names())}")
    return read_profile(Path(given))


def read_profile(path: Path) -> Profile:
    """Return the profile of a file; raises ProfileError if it cannot be used, and OSError if it cannot be read."""
    try:
        return Profile.from_toml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path} is not a text in UTF-8") from error
