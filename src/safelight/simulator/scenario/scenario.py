"""A whole scenario file."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from safelight.core.errors import nearest, shorten
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.adapters import AdapterGroup, check_adapters
from safelight.simulator.scenario.cascades import CascadeEntry, check_cascades
from safelight.simulator.scenario.deadlines import Deadlines, check_deadlines
from safelight.simulator.scenario.decoding import decode, parse_toml
from safelight.simulator.scenario.faults import FaultEntry, check_faults
from safelight.simulator.scenario.fleet import WorkerGroup
from safelight.simulator.scenario.language import LanguageWork, check_language
from safelight.simulator.scenario.language_keys import check_language_keys, check_language_policies
from safelight.simulator.scenario.models import ModelEntry, check_model
from safelight.simulator.scenario.policies import DEFAULT_POLICIES, Choice, Limits, check_policies, choices_of
from safelight.simulator.scenario.quantities import Factor, NotNegative, Seed
from safelight.simulator.scenario.reuse import ReuseEntry, check_reuse
from safelight.simulator.scenario.variants import Variant, with_changes
from safelight.simulator.scenario.workload import Workload, check_workload

FORMAT: Final = 1
MOST_BYTES: Final = 16 << 20


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is simulated; see docs/simulator.md.

    Attributes:
        format: of the file: 1.
        title: of reports; empty is the file's name.
        seeds: each gives a run of its own: other arrivals, other requests, other noise.
        loads: multiples of the workload's rate.
        rates_per_s: mean requests per second instead.
        warmup_s: requests that arrive before do not count in figures.
        fleet: groups of workers.
        models: by name.
        cascades: of models.
        workload: what is asked of the fleet.
        adapters: groups of LoRAs and ControlNets.
        deadlines: of requests that have none of their own.
        reuse: of earlier pictures; none without it.
        language: makes the only model a language model.
        policies: choices by name.
        limits: of the controller.
        faults: of workers.
        variants: changes of it, each of which is simulated instead of the scenario as it is.
    """

    format: int = FORMAT
    title: str = ""
    seeds: Annotated[tuple[Seed, ...], msgspec.Meta(min_length=1)] = (0,)
    loads: Annotated[tuple[Factor, ...], msgspec.Meta(min_length=1)] = (1.0,)
    rates_per_s: tuple[Factor, ...] = ()
    warmup_s: NotNegative = 0.0
    fleet: Annotated[tuple[WorkerGroup, ...], msgspec.Meta(min_length=1)]
    models: dict[str, ModelEntry]
    cascades: tuple[CascadeEntry, ...] = ()
    workload: Workload
    adapters: tuple[AdapterGroup, ...] = ()
    deadlines: Deadlines = Deadlines()
    reuse: ReuseEntry | None = None
    language: LanguageWork | None = None
    policies: dict[str, Choice] = msgspec.field(default_factory=lambda: dict(DEFAULT_POLICIES))
    limits: Limits = Limits()
    faults: tuple[FaultEntry, ...] = ()
    variants: tuple[Variant, ...] = ()

    @property
    def served_names(self) -> tuple[str, ...]:
        """What requests may name: models and cascades."""
        return (*self.models, *(cascade.name for cascade in self.cascades))

    def models_of(self, name: str | None) -> tuple[str, ...]:
        """Return the models that may serve requests for a name: both of a cascade, and all for None."""
        if name is None:
            return tuple(self.models)
        return next(((each.light, each.heavy) for each in self.cascades if each.name == name), (name,))

    def largest_model_of(self, name: str | None) -> str:
        """Return the model of a name: the heavy one of a cascade, and the first one for None."""
        if name is None:
            return self.cascades[0].heavy if self.cascades else next(iter(self.models))
        return next((cascade.heavy for cascade in self.cascades if cascade.name == name), name)

    @property
    def worker_names(self) -> tuple[str, ...]:
        return tuple(name for group in self.fleet for name in group.worker_names)


def read_scenario(path: Path) -> Scenario:
    """Return the scenario of a file.

    Raises:
        BadScenario: if it cannot be read or simulated; the message names the file and the key.
    """
    try:
        return parse_scenario(_read(path))
    except BadScenario as error:
        raise BadScenario(f"{path}: {error}") from error


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadScenario(f"It has more than {MOST_BYTES >> 20} MiB, so it is no scenario.")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadScenario("It is not a text in UTF-8.") from error
    except OSError as error:
        raise BadScenario(f"It cannot be read: {error.strerror or error}.") from error


def parse_scenario(text: str) -> Scenario:
    """Return the scenario of a TOML text; raises BadScenario."""
    raw = parse_toml(text)
    if (found := raw.get("format", FORMAT)) != FORMAT:
        raise BadScenario(f"is {shorten(found)}; this Safelight reads format {FORMAT}.", place="format")
    scenario = decode(raw, Scenario)
    _check(scenario)
    variants_of(scenario)
    return scenario


def variants_of(scenario: Scenario) -> dict[str, Scenario]:
    """Return the scenarios that its variants make, by name; without variants itself, without a name.

    Raises:
        BadScenario: if one of them cannot be simulated.
    """
    raw = _without_none(msgspec.to_builtins(scenario))
    made = {} if scenario.variants else {"": scenario}
    for number, variant in enumerate(scenario.variants):
        place = f"variants[{number}]"
        changed = with_changes(raw, variant, place)
        try:
            made[variant.name] = decode(changed, Scenario)
            _check(made[variant.name])
        except BadScenario as error:
            raise BadScenario(f": {error}", place=place) from error
    return made


def _without_none(value: Any) -> Any:  # noqa: ANN401 - whatever TOML holds
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


def _check(scenario: Scenario) -> None:
    """Raise BadScenario for sections that do not fit each other."""
    models = tuple(scenario.models)
    if not models:
        raise BadScenario("is empty; it must have a table for each model.", place="models")
    for name, model in scenario.models.items():
        check_model(model, f"models.{name}")
    _check_unique([group.name for group in scenario.fleet], "fleet")
    for number, group in enumerate(scenario.fleet):
        _check_known(group.models, models, f"fleet[{number}].models")
        _check_known(tuple(group.profiles), group.models, f"fleet[{number}].profiles")
    served = {name for group in scenario.fleet for name in group.models}
    for name in models:
        if name not in served:
            raise BadScenario(
                "is served by no group of [[fleet]]; add it to the `models` of one.", place=f"models.{name}"
            )
    _check_unique([cascade.name for cascade in scenario.cascades], "cascades")
    check_cascades(scenario.cascades, models)
    check_workload(scenario.workload, scenario.served_names)
    has_steps = all(kind.steps is not None for kind in scenario.workload.mix)
    check_reuse(scenario.reuse)
    if scenario.reuse is not None and scenario.language is not None:
        raise BadScenario("cannot be beside [language]; pictures are reused, and texts are not.", place="reuse")
    check_language(scenario.language, models, has_steps=has_steps)
    if scenario.language is not None:
        _check_language_keys(scenario)
    _check_unique([group.name for group in scenario.adapters], "adapters")
    for number, adapters in enumerate(scenario.adapters):
        _check_known((adapters.model,), models, f"adapters[{number}].model")
        check_adapters(adapters, f"adapters[{number}]")
        _check_asked(adapters, scenario.workload, f"adapters[{number}]")
    _check_unique([variant.name for variant in scenario.variants], "variants")
    check_deadlines(scenario.deadlines)
    check_policies(scenario.policies)
    check_faults(scenario.faults, scenario.worker_names)
    if scenario.rates_per_s and scenario.loads != (1.0,):
        raise BadScenario("cannot be beside `loads`; leave one of them.", place="rates_per_s")


def _check_language_keys(scenario: Scenario) -> None:
    """Raise BadScenario for what language work does not follow."""
    if len(scenario.fleet) > 1:
        raise BadScenario("has several groups; language work needs one.", place="fleet")
    lists: dict[str, Sequence[msgspec.Struct]] = {
        "fleet": scenario.fleet,
        "cascades": scenario.cascades,
        "workload.mix": scenario.workload.mix,
        "adapters": scenario.adapters,
        "faults": scenario.faults,
    }
    check_language_keys(
        [
            ("deadlines", scenario.deadlines),
            ("limits", scenario.limits),
            *((f"models.{name}", model) for name, model in scenario.models.items()),
            *((f"{name}[{number}]", each) for name, some in lists.items() for number, each in enumerate(some)),
        ]
    )
    for choice in scenario.policies.values():
        check_language_policies(choices_of(choice))


def _check_asked(adapters: AdapterGroup, workload: Workload, place: str) -> None:
    """Raise BadScenario for shares of requests that no kind of the mix makes."""
    asked = {kind.model for kind in workload.mix}
    if workload.arrivals is not None and adapters.share > 0 and adapters.model not in asked:
        raise BadScenario(
            f"counts for nothing, since no kind of [[workload.mix]] names {adapters.model!r}; leave it out.",
            place=f"{place}.share",
        )


def _check_known(names: Sequence[str], known: Sequence[str], place: str) -> None:
    for name in names:
        if name not in known:
            raise BadScenario(f"has {shorten(name)}; {nearest(name, known)}", place=place)


def _check_unique(names: Sequence[str], place: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise BadScenario(f"has two entries named {shorten(name)}; each needs a name of its own.", place=place)
