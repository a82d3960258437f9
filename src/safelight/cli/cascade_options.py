"""Options of `safelight serve` about cascades."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from safelight.cli.errors import Misuse
from safelight.control.levels.as_asked import AsAsked
from safelight.control.levels.cascade import LoadCascade
from safelight.control.levels.policies import LEVEL_POLICIES
from safelight.control.levels.score_threshold import ScoreThreshold
from safelight.control.policies import Policies

if TYPE_CHECKING:
    from safelight.local.cascades import ServedCascades

LEVEL: Final = "level="


@dataclass(frozen=True, kw_only=True)
class CascadeOptions:
    """Which cascades are served."""

    cascade: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LIGHT,HEAVY[,GATE]|FILE",
            help="Serve a light and a heavy model under one name, with a gate between them; or the cascades of a file "
            "that `safelight cascade build` has written; repeatable. The first one is for requests without a model.",
        ),
    ] = None

    def served(
        self, folders: Sequence[Path], policies: Policies, choices: Sequence[str], *, names: Sequence[str]
    ) -> "tuple[ServedCascades, Policies]":
        """Return the cascades among the models in `folders`, and the policies that use them.

        Args:
            folders: of the served models.
            policies: as the user has chosen them by `choices`.
            choices: of policies.
            names: aliases, which no cascade may be called.

        Raises:
            Misuse: if the level policy uses no cascades, or not these.
            RequestError, CascadeFileError, GateFileError: as `served_cascades`.
        """
        from safelight.local.cascades import ServedCascades, served_cascades, shipped_cascade

        is_chosen = any(choice.startswith(LEVEL) for choice in choices)
        is_plain = isinstance(policies.level, AsAsked)
        if self.cascade:
            cascades = served_cascades(self.cascade, folders)
        else:
            cascades = ServedCascades() if is_chosen and is_plain else shipped_cascade(folders)
        taken = [cascade.name for cascade in cascades.cascades if cascade.name in names]
        if taken and self.cascade:
            raise Misuse(f"--cascade {taken[0]}: this is an --alias; choose another name.")
        if taken or not cascades.cascades:
            return ServedCascades(), policies
        if is_plain and is_chosen:
            able = ", ".join(policy.name for policy in LEVEL_POLICIES if not isinstance(policy, AsAsked))
            raise Misuse(f"--cascade needs a level policy that uses it, and not as-asked; choose one of {able}.")
        if isinstance(policies.level, ScoreThreshold) and any(each.rival is None for each in cascades.cascades):
            raise Misuse("level=score-threshold needs a rival gate; write --cascade NAME=LIGHT,HEAVY,GATE,RIVAL.")
        return cascades, replace(policies, level=LoadCascade()) if is_plain else policies
