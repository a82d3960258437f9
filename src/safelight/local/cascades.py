"""Cascades that a server is told to serve: of served models, with the gates that their workers load."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from safelight.cascade.cascade import Cascade
from safelight.cascade.router import Router
from safelight.control.levels.as_asked import AsAsked
from safelight.control.levels.cascade import LoadCascade
from safelight.control.levels.policies import LEVEL_POLICIES
from safelight.control.levels.score_threshold import ScoreThreshold
from safelight.control.policies import Policies
from safelight.core.errors import CascadeFileError, GateFileError, RequestError, nearest, shorten
from safelight.local.model_folders import AUTO, SHIPPED_GATE, shipped_models
from safelight.profiles.cascade_file import read_cascades
from safelight.profiles.gate_file import GateFile, read_gate

LEVEL: Final = "level="
"""How a choice of a level policy begins."""

SUFFIX: Final = ".toml"


@dataclass(frozen=True, kw_only=True)
class ServedCascades:
    """The cascades of a server, and the files of their gates."""

    cascades: tuple[Cascade, ...] = ()
    gates: tuple[Path, ...] = ()

    @property
    def worker_options(self) -> tuple[str, ...]:
        """The options of a worker's command line that load the gates."""
        return tuple(word for gate in self.gates for word in ("--gate", str(gate)))


def cascades_and_policies(
    choices: Sequence[str],
    folders: Sequence[Path],
    policies: Policies,
    *,
    policy_choices: Sequence[str] = (),
    names: Sequence[str] = (),
) -> tuple[ServedCascades, Policies]:
    """Return the cascades that `choices` name, or the one that comes along, and the policies that use them.

    Args:
        choices: as `served_cascades` takes them.
        folders: of the served models.
        policies: as the user has chosen them by `policy_choices`.
        policy_choices: of policies.
        names: aliases, which no cascade may be called.

    Raises:
        RequestError: if the level policy uses no cascades, or not these; and as `served_cascades`.
        CascadeFileError, GateFileError: as `served_cascades`.
    """
    is_chosen = any(choice.startswith(LEVEL) for choice in policy_choices)
    is_plain = isinstance(policies.level, AsAsked)
    if choices:
        cascades = served_cascades(choices, folders)
    else:
        cascades = ServedCascades() if is_chosen and is_plain else shipped_cascade(folders)
    taken = [cascade.name for cascade in cascades.cascades if cascade.name in names]
    if taken and choices:
        raise RequestError(f"--cascade {taken[0]}: this is an --alias; choose another name.")
    if taken or not cascades.cascades:
        return ServedCascades(), policies
    if is_plain and is_chosen:
        able = ", ".join(policy.name for policy in LEVEL_POLICIES if not isinstance(policy, AsAsked))
        raise RequestError(f"--cascade needs a level policy that uses it, and not as-asked; choose one of {able}.")
    if isinstance(policies.level, ScoreThreshold) and any(each.rival is None for each in cascades.cascades):
        raise RequestError("level=score-threshold needs a rival gate; write --cascade NAME=LIGHT,HEAVY,GATE,RIVAL.")
    return cascades, replace(policies, level=LoadCascade()) if is_plain else policies


def served_cascades(choices: Sequence[str], folders: Sequence[Path]) -> ServedCascades:
    """Return the cascades that `choices` name: `NAME=LIGHT,HEAVY[,GATE[,RIVAL]]`, or a file of cascades.

    Args:
        choices: the first one is for requests without a model.
        folders: of the served models.

    Raises:
        RequestError: for a choice that is none, or of models that are not served.
        CascadeFileError: for a file of cascades that cannot be read, or is for other models.
        GateFileError: for a gate that cannot be read, or is for other models.
    """
    models = [folder.resolve().name for folder in folders]
    found: list[ServedCascades] = []
    for choice in choices:
        found += _of_file(Path(choice), models) if choice.endswith(SUFFIX) else [_chosen(choice, models)]
    served = _joined(found)
    for cascade in served.cascades:
        if cascade.name in models:
            raise RequestError(f"--cascade {shorten(cascade.name)}: this is the name of a model; choose another one.")
    return served


def shipped_cascade(folders: Sequence[Path]) -> ServedCascades:
    """Return the cascade that comes along with the shipped models, if both are served; requests have to name it."""
    shipped = shipped_models()
    if not SHIPPED_GATE.is_file() or not set(shipped.values()) <= set(folders):
        return ServedCascades()
    gate = read_gate(SHIPPED_GATE)
    plain = Cascade(name=AUTO, light=gate.card.light, heavy=gate.card.heavy, takes_unnamed=False)
    cascade = _with_gate(plain, gate, SHIPPED_GATE)
    return ServedCascades(cascades=(cascade,), gates=(SHIPPED_GATE,))


def _chosen(choice: str, models: Sequence[str]) -> ServedCascades:
    name, _, rest = choice.partition("=")
    parts = rest.split(",")
    if not name or not 2 <= len(parts) <= 4 or not all(parts):
        raise RequestError(f"--cascade {shorten(choice)} is none; write NAME=LIGHT,HEAVY or NAME=LIGHT,HEAVY,GATE.")
    light, heavy, *files = parts
    for model in (light, heavy):
        if model not in models:
            raise RequestError(
                f"--cascade {shorten(choice)}: no served model is called {shorten(model)}; {nearest(model, models)}"
            )
    if light == heavy:
        raise RequestError(f"--cascade {shorten(choice)}: light and heavy are the same model; name two.")
    return _built(Cascade(name=name, light=light, heavy=heavy), [Path(file) for file in files])


def _built(cascade: Cascade, files: Sequence[Path]) -> ServedCascades:
    """Return a cascade with its gate and a rival one, as far as there are files; or the shipped gate for its models."""
    if not files and SHIPPED_GATE.is_file():
        card = read_gate(SHIPPED_GATE).card
        files = (SHIPPED_GATE,) if (card.light, card.heavy) == (cascade.light, cascade.heavy) else ()
    gates = [_gate_of(cascade, file) for file in files]
    if gates:
        cascade = _with_gate(cascade, gates[0], files[0])
    if len(gates) > 1:
        card = gates[1].card
        cascade = msgspec.structs.replace(cascade, rival=card.name, rival_deferral=card.deferral)
    return ServedCascades(cascades=(cascade,), gates=tuple(files))


def _gate_of(cascade: Cascade, file: Path) -> GateFile:
    gate = read_gate(file)
    if (gate.card.light, gate.card.heavy) != (cascade.light, cascade.heavy):
        found = f"it was trained between {gate.card.light!r} and {gate.card.heavy!r}"
        raise GateFileError(file, f"{found}, not between {cascade.light!r} and {cascade.heavy!r}")
    return gate


def _with_gate(cascade: Cascade, gate: GateFile, file: Path) -> Cascade:
    card = gate.card
    try:
        gated = msgspec.structs.replace(
            cascade,
            gate=card.name,
            deferral=card.deferral,
            best_share=card.best_share,
            router=Router.from_arrays(gate.router),
        )
    except ValueError as error:
        raise GateFileError(file, str(error)) from error
    return msgspec.structs.replace(gated, threshold=gated.threshold_within(gated.best_share))


def _of_file(path: Path, models: Sequence[str]) -> list[ServedCascades]:
    """Return the cascades of a file, with the thresholds that stand there; raises CascadeFileError, GateFileError."""
    found = []
    for built in read_cascades(path):
        for model in (built.light, built.heavy):
            if model not in models:
                reason = f"{built.name!r} needs {shorten(model)}, which is not served; {nearest(model, models)}"
                raise CascadeFileError(path, reason.rstrip("."))
        served = _built(Cascade(name=built.name, light=built.light, heavy=built.heavy), [built.gate])
        (cascade,) = served.cascades
        router = cascade.router
        if isinstance(router, Router):
            router = replace(router, threshold=math.inf if built.router_threshold is None else built.router_threshold)
        own = msgspec.structs.replace(cascade, threshold=built.threshold, router=router)
        found.append(replace(served, cascades=(own,)))
    return found


def _joined(served: Sequence[ServedCascades]) -> ServedCascades:
    """Return all of them as one; raises RequestError for names that two share."""
    cascades = tuple(cascade for each in served for cascade in each.cascades)
    files = {file: read_gate(file).card.name for each in served for file in each.gates}
    for names in ([cascade.name for cascade in cascades], list(files.values())):
        if doubled := {name for name in names if names.count(name) > 1}:
            raise RequestError(f"Two cascades, or two gates, are called {shorten(min(doubled))}; rename one.")
    return ServedCascades(cascades=cascades, gates=tuple(files))
