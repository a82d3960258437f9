"""Which runs a scenario has."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from safelight.core.errors import InvalidParameter, nearest
from safelight.simulator.errors import BadScenario
from safelight.simulator.results.documents import RunResult, SimulationDocument, document_of
from safelight.simulator.results.figures import RunKey
from safelight.simulator.scenario.arrivals import arrivals_of
from safelight.simulator.scenario.policies import check_policies, choices_of
from safelight.simulator.scenario.scenario import Scenario, variants_of

Choices = dict[str, tuple[str, ...]]
"""Choices of policies by name."""


class SimulationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of a scenario.

    Attributes:
        scenario: as the file has it.
        variants: what is simulated, by the name of the variant; empty for a scenario without variants.
        folder: that paths in the scenario are relative to.
        name: of the scenario's file.
        policies: choices by variant and name, in order.
        keys: the runs, in the order in which they are reported.
    """

    scenario: Scenario
    variants: dict[str, Scenario]
    folder: str
    name: str
    policies: dict[str, Choices]
    keys: tuple[RunKey, ...]

    @property
    def _first_policies(self) -> Choices:
        """Return the choices by name, of the first variant that has the name."""
        found: Choices = {}
        for choices in self.policies.values():
            found |= {name: choice for name, choice in choices.items() if name not in found}
        return found

    def document(self, results: Sequence[RunResult]) -> SimulationDocument:
        """Return the document of the runs that there are."""
        return document_of(
            results,
            scenario=self.name,
            title=self.scenario.title or Path(self.name).stem,
            policies=self._first_policies,
            policies_of_variants=self.policies,
            quality_metric=next((result.quality_metric for result in results), ""),
            notes=tuple(dict.fromkeys(note for result in results for note in result.notes)),
            is_complete=len(results) == len(self.keys) and all(result.is_complete for result in results),
        )


def plan_of(
    scenario: Scenario,
    *,
    path: Path,
    policies: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    loads: Sequence[float] | None = None,
) -> SimulationPlan:
    """Return the runs of a scenario.

    Args:
        scenario: that has been checked.
        path: of its file.
        policies: names of its choices, or choices of `serve --policy` with commas between them; None takes all.
        seeds: instead of the scenario's.
        loads: instead of the scenario's.

    Raises:
        InvalidParameter: for a policy that does not exist, or a load that is not positive.
        BadScenario: if the workload cannot be read.
    """
    for load in loads or ():
        if not 0 < load < float("inf"):
            raise InvalidParameter("load", load, "it must be a positive number")
    variants = variants_of(scenario)
    chosen = _chosen_of(variants, policies)
    return SimulationPlan(
        scenario=scenario,
        variants=variants,
        folder=str(path.parent),
        name=path.name,
        policies=chosen,
        keys=tuple(
            RunKey(policy=name, load=load, seed=seed, variant=variant)
            for variant, changed in variants.items()
            for load in dict.fromkeys(loads or _loads(changed, path.parent))
            for name in chosen[variant]
            for seed in dict.fromkeys(seeds or changed.seeds)
        ),
    )


def _chosen_of(variants: Mapping[str, Scenario], policies: Sequence[str] | None) -> dict[str, Choices]:
    """Return the choices of each variant; raises InvalidParameter."""
    own = {
        variant: {name: choices_of(choice) for name, choice in scenario.policies.items()}
        for variant, scenario in variants.items()
    }
    if not policies:
        return own
    known = tuple(dict.fromkeys(name for choices in own.values() for name in choices))
    written = {text: _choices_in(text, known) for text in policies if text not in known}
    return {
        variant: {text: (written | choices)[text] for text in policies if text in written | choices}
        for variant, choices in own.items()
    }


def _choices_in(text: str, known: Sequence[str]) -> tuple[str, ...]:
    choices = tuple(text.split(","))
    try:
        check_policies({text: choices})
    except BadScenario as error:
        if "=" in text and isinstance(error.__cause__, InvalidParameter):
            raise error.__cause__ from error
        hint = nearest(text, known).rstrip(".")
        raise InvalidParameter(
            "policy", text, f"write a name of the scenario, or choices of `serve --policy`; {hint}"
        ) from error
    return choices


def _loads(scenario: Scenario, folder: Path) -> tuple[float, ...]:
    if not scenario.rates_per_s:
        return scenario.loads
    base = arrivals_of(scenario.workload, folder=folder, load=1.0, seed=scenario.seeds[0]).rate_per_s
    return tuple(rate / base for rate in scenario.rates_per_s)


def encoded(value: msgspec.Struct) -> bytes:
    """Return a struct as bytes for another process."""
    return msgspec.msgpack.encode(value)


def decoded(data: bytes, kind: type[Any]) -> Any:  # noqa: ANN401 - `kind`
    """Return what `encoded` has made bytes of."""
    return msgspec.msgpack.decode(data, type=kind)
