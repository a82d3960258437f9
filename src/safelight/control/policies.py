"""The families of policies, their members, presets, and how users choose among them."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from safelight.adapters.modes import ADAPTER_MODES, AdapterMode
from safelight.control.admission_policies import ADMISSION_POLICIES, AdmissionPolicy, DeadlineAdmission
from safelight.control.batching.deadline import DeadlineBatching
from safelight.control.batching.policies import BATCHING_POLICIES
from safelight.control.batching.protocol import BatchingPolicy
from safelight.control.levels.as_asked import AsAsked
from safelight.control.levels.policies import LEVEL_POLICIES
from safelight.control.levels.protocol import LevelPolicy
from safelight.control.order.deadline import DeadlineOrder
from safelight.control.order.policies import ORDER_POLICIES
from safelight.control.order.protocol import OrderPolicy
from safelight.control.placement.policies import PLACEMENT_POLICIES
from safelight.control.placement.prefetch_waiting import PrefetchWaiting
from safelight.control.placement.protocol import PlacementPolicy
from safelight.control.preemption.forecast_gain import ForecastGain
from safelight.control.preemption.policies import PREEMPTION_POLICIES
from safelight.control.preemption.protocol import PreemptionPolicy
from safelight.control.routing.policies import ROUTING_POLICIES
from safelight.control.routing.protocol import RoutingPolicy
from safelight.control.routing.soonest_finish import SoonestFinish
from safelight.core.entry_points import with_installed
from safelight.core.errors import ExtensionError, InvalidParameter, nearest

ENTRY_POINTS: Final = "safelight.policies"

MEMBERS: Final[Mapping[str, Sequence[Any]]] = MappingProxyType(
    {
        "order": ORDER_POLICIES,
        "admission": ADMISSION_POLICIES,
        "routing": ROUTING_POLICIES,
        "batching": BATCHING_POLICIES,
        "adapter-mode": ADAPTER_MODES,
        "level": LEVEL_POLICIES,
        "placement": PLACEMENT_POLICIES,
        "preemption": PREEMPTION_POLICIES,
    }
)
"""Our own policies, by family; each family is a field of `Policies`."""

DETERMINISTIC: Final[Mapping[str, str]] = MappingProxyType({"adapter-mode": "always-unmerged", "level": "as-asked"})
"""What `--deterministic` needs: what is folded, and a level that depends on load, would show in the picture."""

REPLICA_FAMILIES: Final = ("order", "batching", "adapter-mode")
"""Families that also decide in workers."""


@dataclass(frozen=True, kw_only=True)
class Policies:
    """One policy of each family."""

    order: OrderPolicy = field(default_factory=DeadlineOrder)
    admission: AdmissionPolicy = field(default_factory=DeadlineAdmission)
    routing: RoutingPolicy = field(default_factory=SoonestFinish)
    batching: BatchingPolicy = field(default_factory=DeadlineBatching)
    adapter_mode: AdapterMode = ADAPTER_MODES[0]
    level: LevelPolicy = field(default_factory=AsAsked)
    placement: PlacementPolicy = field(default_factory=PrefetchWaiting)
    preemption: PreemptionPolicy = field(default_factory=ForecastGain)

    @property
    def names(self) -> Mapping[str, str]:
        """The name of each family's policy, by family."""
        return {_family(each.name): getattr(self, each.name).name for each in fields(self)}

    @property
    def worker_options(self) -> tuple[str, ...]:
        """The options of a worker's command line that choose the same policies."""
        names = self.names
        return tuple(word for family in REPLICA_FAMILIES for word in ("--policy", f"{family}={names[family]}"))


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A choice for some families together; the others keep their defaults."""

    name: str
    purpose: str
    choices: Mapping[str, str]


PEER: Final = {
    "order": "arrival",
    "admission": "open",
    "routing": "round-robin",
    "adapter-mode": "always-unmerged",
    "preemption": "never",
    "placement": "no-prefetch",
}
"""What the servers of others have in common: no deadlines, no admission, no LoRAs in the weights."""

PRESETS: Final = (
    Preset(name="deadlines", purpose="Keep deadlines, and refuse what cannot be in time. The default.", choices={}),
    Preset(
        name="throughput",
        purpose="First come, first served in full batches; deadlines neither order nor refuse.",
        choices={
            "order": "arrival",
            "admission": "open",
            "batching": "full",
            "routing": "least-loaded",
            "preemption": "never",
        },
    ),
    Preset(
        name="vllm-omni",
        purpose="For comparison: the rule of vLLM-Omni 0.30, first come, first served with head-of-line blocking.",
        choices=PEER | {"batching": "head-of-line"},
    ),
    Preset(
        name="sglang",
        purpose="For comparison: the rule of SGLang Diffusion 0.5.23, which anchors a batch and scans the queue.",
        choices=PEER | {"batching": "anchor-scan"},
    ),
    Preset(
        name="affinity",
        purpose="Send requests of one adapter to one worker, as far as loads allow, and read nothing ahead.",
        choices={"routing": "affinity", "placement": "no-prefetch"},
    ),
)


def members(family: str) -> tuple[Any, ...]:
    """Return all policies of a family: our own, and those of installed packages.

    Raises:
        ExtensionError: if an installed one cannot be used.
    """
    return _members()[family]


@cache
def _members() -> Mapping[str, tuple[Any, ...]]:
    installed: Sequence[Any] = with_installed(ENTRY_POINTS, (), key=lambda policy: f"{policy.family}={policy.name}")
    for policy in installed:
        if policy.family not in MEMBERS:
            raise ExtensionError(ENTRY_POINTS, policy.name, f"no family is called {policy.family!r}")
        if any(policy.name == own.name for own in MEMBERS[policy.family]):
            raise ExtensionError(ENTRY_POINTS, policy.name, f"the name {policy.name!r} is taken")
    return {
        family: (*own, *(policy for policy in installed if policy.family == family)) for family, own in MEMBERS.items()
    }


def policies_from(choices: Iterable[str]) -> Policies:
    """Return the policies that `choices` name: a preset, or `FAMILY=NAME`; a later choice overrides an earlier one.

    Raises:
        InvalidParameter: if there is no such family, policy or preset.
    """
    policies = Policies()
    for choice in choices:
        family, is_pair, name = choice.partition("=")
        for each, wanted in ({family: name} if is_pair else _preset(choice).choices).items():
            policies = replace(policies, **{each.replace("-", "_"): _policy(each, wanted)})
    return policies


def deterministic_policies_from(choices: Iterable[str]) -> Policies:
    """Return the policies that `choices` name, over those that pictures need which depend on their request alone.

    Raises:
        InvalidParameter: as `policies_from`, or if `choices` name others than are needed.
    """
    policies = policies_from((*(f"{family}={name}" for family, name in DETERMINISTIC.items()), *choices))
    for family, needed in DETERMINISTIC.items():
        if (chosen := policies.names[family]) != needed:
            raise InvalidParameter("policy", f"{family}={chosen}", f"--deterministic needs {family}={needed}")
    return policies


def describe_policies() -> str:
    """Return a list of all presets, families and policies, as text."""
    lines = ["Presets (--policy NAME):"]
    lines += [f"  {preset.name:<20} {preset.purpose}" for preset in PRESETS]
    defaults = Policies().names
    for family, policies in _members().items():
        lines += ["", f"{family} (--policy {family}=NAME):"]
        for policy in policies:
            mark = "*" if policy.name == defaults[family] else " "
            lines.append(f"{mark} {policy.name:<20} {_summary(policy)}")
    return "\n".join([*lines, "", "* is the default."])


def _policy(family: str, name: str) -> Any:  # noqa: ANN401 - each family has a protocol of its own
    if family not in MEMBERS:
        raise InvalidParameter("policy", f"{family}={name}", nearest(family, tuple(MEMBERS)).rstrip("."))
    known = {policy.name: policy for policy in members(family)}
    if name not in known:
        raise InvalidParameter("policy", f"{family}={name}", nearest(name, tuple(known)).rstrip("."))
    return known[name]


def _preset(name: str) -> Preset:
    known = {preset.name: preset for preset in PRESETS}
    if name not in known:
        hint = nearest(name, tuple(known)).rstrip(".")
        raise InvalidParameter("policy", name, f"write a preset or FAMILY=NAME; {hint}")
    return known[name]


def _family(field_name: str) -> str:
    return field_name.replace("_", "-")


def _summary(policy: object) -> str:
    """Return the first line of the docstring of a policy's class, or of the class that it makes."""
    described = policy.make if isinstance(policy, AdapterMode) else type(policy)
    return (inspect.getdoc(described) or "").partition("\n")[0]
