"""Options of `safelight calibrate` about the quality of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from safelight.cli.errors import Misuse
from safelight.core.errors import nearest
from safelight.core.level import MAX_STEPS
from safelight.local.model_folders import SHIPPED_GATE, model_folders, shipped_models
from safelight.oneshot.calibration import QualityPlan

PICTURES = 120


def _option(*names: str, **settings: Any) -> Any:  # noqa: ANN401 - the type is typer's own
    return typer.Option(*names, rich_help_panel="Quality", **settings)


@dataclass(frozen=True, kw_only=True)
class QualityOptions:
    """Whether pictures are judged, how many, at which levels, and after which gate."""

    quality: Annotated[
        bool, _option("--quality", help="Paint held-out captions and judge them by the scene score, too.")
    ] = False
    pictures: Annotated[int, _option(min=2, metavar="N", help="Pictures that are judged at each level.")] = PICTURES
    steps: Annotated[
        list[int] | None,
        _option(
            "--steps",
            min=1,
            max=MAX_STEPS,
            metavar="N",
            help="A level to judge; repeatable.",
            show_default="shares of the model's own steps",
        ),
    ] = None
    gate: Annotated[
        Path | None,
        _option(metavar="FILE", help="A gate after this model, to judge too.", show_default="the shipped one"),
    ] = None
    heavy: Annotated[
        str | None,
        _option(metavar="NAME|DIR", help="The gate's heavy model.", show_default="as the gate names it"),
    ] = None
    times: Annotated[
        Path | None, _option(metavar="FILE", help="Take the times from this profile, and judge pictures only.")
    ] = None

    def plan(self, folder: Path, options: Sequence[str]) -> QualityPlan | None:
        """Return what is to be judged; None if nothing is.

        Raises:
            Misuse: for options that need others, and for a model whose pictures cannot be judged.
            GateFileError: if the gate cannot be read.
        """
        if not self.quality:
            self._refuse_without_quality()
            return None
        if folder.resolve().name not in shipped_models():
            raise Misuse(
                f"--quality judges by the scene score, which knows the pictures of "
                f"{' and '.join(shipped_models())}; {folder.name!r} paints others. "
                f"{nearest(folder.name, tuple(shipped_models()))}"
            )
        gate, heavy = self._cascade(folder)
        return QualityPlan(
            model=folder,
            pictures=self.pictures,
            steps=tuple(self.steps or ()),
            gate=gate,
            heavy=heavy,
            options=tuple(options),
        )

    def _refuse_without_quality(self) -> None:
        given = {"--steps": self.steps, "--gate": self.gate, "--heavy": self.heavy, "--times": self.times}
        if named := [name for name, value in given.items() if value is not None]:
            raise Misuse(f"{named[0]} is about the quality of pictures; add --quality.")

    def _cascade(self, folder: Path) -> tuple[Path | None, Path | None]:
        """Return the gate and the heavy model, if there is a gate."""
        from safelight.profiles.gate_file import read_gate

        name = folder.resolve().name
        if self.gate is None:
            if self.heavy is not None:
                raise Misuse("--heavy is the model after a gate; name the gate with --gate FILE.")
            if not SHIPPED_GATE.exists() or read_gate(SHIPPED_GATE).card.light != name:
                return None, None
        gate = self.gate or SHIPPED_GATE
        card = read_gate(gate).card
        if card.light != name:
            raise Misuse(f"--gate {gate} is for pictures of {card.light!r}, and --model is {name!r}.")
        (heavy,) = model_folders([self.heavy or card.heavy])
        return gate, heavy
