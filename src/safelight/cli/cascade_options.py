"""Options of `safelight serve` about cascades."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safelight.control.policies import Policies

if TYPE_CHECKING:
    from safelight.local.cascades import ServedCascades


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

        Raises:
            RequestError, CascadeFileError, GateFileError: as `cascades_and_policies`.
        """
        from safelight.local.cascades import cascades_and_policies

        return cascades_and_policies(self.cascade or (), folders, policies, policy_choices=choices, names=names)
