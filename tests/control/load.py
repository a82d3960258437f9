"""Offered load in virtual time: how many are accepted, how many of these are late, and how much is made in time."""

import random
from dataclasses import dataclass

from control.makers import request, spec
from control.virtual_fleet import VirtualFleet
from safelight.control.events import Arrived

STEPS = 4
ROWS = 8
TICK_S, ROW_S = 0.02, 0.01
CAPACITY_PER_S = ROWS / (STEPS * (TICK_S + ROWS * ROW_S))
"""Pictures of one worker whose calls are always full."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What happened to the requests of a load.

    Attributes:
        offered, accepted, late: how many; late ones were accepted, and were ready after their deadlines or never.
        on_time_share: pictures that were ready in time, of what the fleet could have made in that time.
    """

    offered: int
    accepted: int
    late: int
    on_time_share: float

    @property
    def accepted_share(self):
        return self.accepted / self.offered

    @property
    def accepted_late_share(self):
        return self.late / max(1, self.accepted)


def uniform_deadlines(rng):
    return {"deadline_s": rng.uniform(2, 16)}


def offer(
    load,
    *,
    workers=1,
    seconds=20.0,
    seed=1,
    fields=uniform_deadlines,
    group=1,
    burst=1,
    capacity_per_s=None,
    fleet=None,
):
    """Offer `load` times the capacity of a fleet for some seconds, and wait for all that it has accepted."""
    rng = random.Random(seed)
    model = spec(tick_s=TICK_S, row_s=ROW_S)
    fleet = fleet or VirtualFleet(*[(model,)] * workers, max_denoiser_rows=ROWS)
    rate = load * len(fleet.workers) * (capacity_per_s or CAPACITY_PER_S)
    began_s = fleet.time.now_s()
    now, asked = began_s, {}
    while True:
        now += rng.expovariate(rate / (group * burst))
        if now > began_s + seconds:
            break
        for _ in range(burst):
            made = {"steps": STEPS} | fields(rng)
            alike = [request(f"r{len(asked) + number}", arrived_s=now, **made) for number in range(group)]
            asked |= {each.id: each for each in alike}
            fleet.time.call_later(now - began_s, lambda alike=alike: fleet.handle(Arrived(tuple(alike))))
    fleet.time.run()
    accepted = asked.keys() - fleet.rejected
    assert accepted == fleet.outcomes.keys() & asked.keys(), "every accepted request ends"
    late = [name for name in accepted if not fleet.outcomes[name].met_deadline]
    on_time = len(accepted) - len(late)
    took_s = max([seconds, *(ready_s - began_s for ready_s in fleet.ready_s.values())])
    possible = len(fleet.workers) * took_s * (capacity_per_s or CAPACITY_PER_S)
    return Load(offered=len(asked), accepted=len(accepted), late=len(late), on_time_share=on_time / possible)
