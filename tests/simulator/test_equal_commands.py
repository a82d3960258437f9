"""The same controller decides the same over the fake workers of the live service's tests and over simulated ones."""

import msgspec
import pytest

from control.virtual_fleet import CAPACITY, VirtualFleet
from safelight.control.commands import Command, Send, WorkerChanged
from safelight.core.work import AddAdapter
from safelight.profiles.loads import FIRST_BYTES_PER_S
from safelight.profiles.profile import Profile
from safelight.simulator.fleet.fleet import RESTART_PAUSE_S
from safelight.simulator.simulate import EventLoop
from safelight.simulator.simulation import Fault, LoadCost, LoadTiers, SimulatedModel, SimulatedWorker
from simulator.makers import SPEC, adapters, config, poisson, simulation

ROWS = 8
LOOKAHEAD_ROWS = 2
DIES_S = 3.0
SUCCESSOR = "w2"
"""The name that the fake pool gives to the first worker that joins later."""

SPECS = tuple(
    msgspec.structs.replace(
        SPEC,
        step_times=tuple(msgspec.structs.replace(time, seconds=factor * time.seconds) for time in SPEC.step_times),
    )
    for factor in (0.9871, 1.0347)
)
"""Workers of different speeds, so that no two events have one time."""


def what(command: Command):
    """Return whom a command is for and what it says, without its times."""
    if isinstance(command, Send):
        sent = command.command
        fields = msgspec.structs.asdict(sent)
        job = fields.pop("job", None)
        about = (job.id, job.attempt, job.stage, job.steps_run) if job is not None else tuple(fields.values())
        return type(sent).__name__, command.worker, about
    if isinstance(command, WorkerChanged):
        return type(command).__name__, command.worker
    outcome = command.outcome
    return type(command).__name__, outcome.request.id, outcome.status, outcome.worker, outcome.retries, outcome.pauses


def noted(controller):
    """Return a list that gets what every later command of a controller says."""
    commands, handle = [], controller.handle

    def handle_and_note(event, now):
        found = handle(event, now)
        commands.extend(what(command) for command in found)
        return found

    controller.handle = handle_and_note
    return commands


def commands_over_fakes(requests, specs, settings, *, dies):
    fleet = VirtualFleet(
        *[(spec,) for spec in SPECS], max_denoiser_rows=ROWS, adapters=specs, reports_late=True, **_settings(settings)
    )
    began_s = fleet.time.now_s()
    commands = noted(fleet.controller)
    for request in requests:
        later = msgspec.structs.replace(request, arrived_s=began_s + request.arrived_s)
        fleet.time.call_later(request.arrived_s, lambda later=later: fleet.arrive(later))
    if dies:
        fleet.time.call_later(DIES_S, lambda: fleet.kill("w0"))
        fleet.time.call_later(DIES_S + RESTART_PAUSE_S, lambda: fleet.join((SPECS[0],)))
    fleet.time.run()
    return [each for each in commands if each[0] != AddAdapter.__name__]


def _settings(control):
    return {name: getattr(control, name) for name in ("lookahead_rows", "max_waiting", "policies")}


def commands_over_simulation(requests, specs, settings, *, dies, coalesces):
    disk = LoadCost(s_per_byte=1 / FIRST_BYTES_PER_S)
    loop = EventLoop(
        simulation(
            workers=tuple(
                SimulatedWorker(
                    name=f"w{number}",
                    models=(SimulatedModel(spec=spec, profile=Profile.from_spec(spec)),),
                    max_denoiser_rows=ROWS,
                    adapter_capacity=CAPACITY,
                    load_tiers=LoadTiers(disk=disk),
                )
                for number, spec in enumerate(SPECS)
            ),
            requests=requests,
            adapters=specs,
            control=settings,
            faults=(Fault(kind="die", worker="w0", at_s=DIES_S),) if dies else (),
            coalesces=coalesces,
        )
    )
    commands = noted(loop.controller)
    while loop.step():
        pass
    return commands


MIXES = {
    "plain": {},
    "deadlines": {"deadline_s": 3.0},
    "sizes": {"sizes": (64, 96), "deadline_s": 6.0},
    "loras": {"loras": 4},
}


CASES = [(mix, dies) for mix in MIXES for dies in (False, True) if (mix, dies) != ("loras", True)]
"""A worker that joins later reads all LoRAs in the fake pool; in a simulation it knows them."""


@pytest.mark.parametrize("coalesces", [False, True])
@pytest.mark.parametrize(("mix", "dies"), CASES)
def test_commands_are_those_over_fake_workers(mix, dies, coalesces):
    requests = list(poisson(150, 10.0, **MIXES[mix]))
    specs = adapters(MIXES[mix].get("loras", 0))
    settings = config(lookahead_rows=LOOKAHEAD_ROWS)
    live = commands_over_fakes(requests, [each.spec for each in specs], settings, dies=dies)
    simulated = commands_over_simulation(requests, specs, settings, dies=dies, coalesces=coalesces)
    renamed = [tuple(SUCCESSOR if part == "w0.2" else part for part in command) for command in simulated]
    assert len(live) > len(requests)
    assert renamed == live
