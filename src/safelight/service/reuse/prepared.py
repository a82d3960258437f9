"""What was found for some requests before they are submitted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from safelight.core.level import Level
from safelight.core.pixels import Pixels
from safelight.core.reuse import Reused
from safelight.core.work import PutLatents
from safelight.latents.entry import Entry
from safelight.latents.plan import ReusePlan


@dataclass(frozen=True, kw_only=True)
class ExactHit:
    """An earlier picture that is the answer; it was painted at `level`."""

    entry: Entry
    picture: Pixels
    level: Level
    reused: Reused


@dataclass(frozen=True, kw_only=True)
class Start:
    """Latents that a request starts from, in full: its worker gets them before the job."""

    entry: Entry
    put: PutLatents
    reused: Reused


@dataclass(frozen=True, kw_only=True)
class PreparedReuse:
    """What was found, by ids of requests; `plans` are for the controller, also for requests that only capture."""

    hits: Mapping[str, ExactHit] = field(default_factory=dict)
    starts: Mapping[str, Start] = field(default_factory=dict)
    plans: Mapping[str, ReusePlan] = field(default_factory=dict)


NOTHING: Final = PreparedReuse(hits=MappingProxyType({}), starts=MappingProxyType({}), plans=MappingProxyType({}))
