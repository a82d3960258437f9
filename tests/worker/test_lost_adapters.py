"""Adapters in a process that may go away: rows that use them wait and go on where they were, and all others go on."""

import threading
from collections import Counter

from fakes.null_engine import NullEngine
from safelight.control.replica.config import ADAPTER_CAPACITY, MAX_LOSSES
from safelight.core.errors import AdapterLost, ControlNetServiceLost
from safelight.core.work import AdapterAdded, AdapterRefused, Failed, Finished, RemoveAdapter
from worker.players import add, ends, handle, message_of, once, play, run, steps_of
from worker.test_adapters import PATIENCE_S, WaywardEngine, opening

FRAGILE = handle("control-fragile")


class FragileEngine(NullEngine):
    """Loses `control-fragile` whenever as many steps of its rows are done as the next of `losses` says.

    Once it is lost it cannot be read before `gate` is open, and not at all if it is `gone`.
    """

    def __init__(self, *losses, gone=False):
        super().__init__()
        self.gate = threading.Event()
        self.steps = Counter()
        self._losses = list(losses)
        self._is_gone = gone
        self._reads = 0

    def step(self, request_ids):
        fragile = [row for row in request_ids if FRAGILE in self._jobs[row].handles]
        assert all(self.resident.issuperset(self._jobs[row].handles) for row in request_ids)
        if fragile and self._losses and self._losses[0] == sum(self.steps[row] for row in fragile):
            del self._losses[0]
            raise AdapterLost(FRAGILE, "The ControlNet service has ended.")
        self.steps.update(request_ids)
        return super().step(request_ids)

    def read_adapter(self, name, path):
        self._reads += name == "control-fragile"
        if name == "control-fragile" and self._reads > 2:
            assert self.gate.wait(PATIENCE_S), "the gate stays closed"
            if self._is_gone:
                raise ControlNetServiceLost("The ControlNet service does not answer in time.")
        return super().read_adapter(name, path)


class DyingEngine(NullEngine):
    """All that it has on the device at its first steps is lost then, which it finds out one by one."""

    def __init__(self, *deaths):
        super().__init__()
        self._deaths = list(deaths)
        self._steps = 0
        self._dead = set()

    def step(self, request_ids):
        if self._deaths and self._deaths[0] == self._steps:
            del self._deaths[0]
            self._dead |= self.resident
        if self._dead:
            raise AdapterLost(min(self._dead), "The ControlNet service has ended.")
        self._steps += 1
        return super().step(request_ids)

    def load_adapter(self, handle, weights):
        super().load_adapter(handle, weights)
        self._dead.discard(handle)


class RemoteEngine(WaywardEngine):
    """Has another process read ControlNets; for the first `absences` reads of `control-away` that does not answer."""

    def __init__(self, *, absences=0):
        super().__init__()
        self._absences = absences

    def is_remote(self, path):
        return path.name.startswith("control")

    def read_adapter(self, name, path):
        spec, weights = super().read_adapter(name, path)
        if "away" in name and self.reads.count(name) <= self._absences:
            raise ControlNetServiceLost("The ControlNet service does not answer in time.")
        return spec, weights


def steered(request_id, *names, **fields):
    return run(request_id, controlnets=names or [FRAGILE.name], **fields)


def test_a_row_goes_on_from_its_step_when_its_adapter_is_back():
    engine = FragileEngine(3)
    engine.gate.set()
    events = play(engine, [add("control-fragile"), steered("row", steps=5)])
    assert ends(events) == {"row": "Finished"}
    assert engine.steps["row"] == 5
    assert steps_of(events, "row") == 5


def test_other_rows_go_on_meanwhile():
    engine = FragileEngine(1)
    others = [run("plain", steps=30), steered("other", "control-sound", steps=30)]
    known = once(AdapterAdded, lambda: [steered("row", steps=3), *others], handle=handle("control-sound"))
    awaited = {"plain", "other"}

    def open_after_both(event):
        if isinstance(event, Finished):
            awaited.discard(event.request_id)
        if not awaited:
            engine.gate.set()
        return ()

    events = play(
        engine,
        [add("control-fragile"), add("control-sound")],
        lambda event: (*known(event), *open_after_both(event)),
    )
    assert ends(events) == {"plain": "Finished", "other": "Finished", "row": "Finished"}
    assert engine.steps == {"row": 3, "plain": 30, "other": 30}
    assert list(ends(events))[-1] == "row"


def test_a_row_that_loses_its_adapter_again_and_again_fails_with_its_name_and_the_reason():
    engine = FragileEngine(*[2] * (MAX_LOSSES + 1))
    engine.gate.set()
    next_row = once(Failed, lambda: [steered("next")], request_id="row")
    events = play(engine, [add("control-fragile"), steered("row", steps=5)], next_row)
    assert ends(events) == {"row": "Failed", "next": "Finished"}
    assert message_of(events, "row") == (
        "The ControlNet 'control-fragile' failed 3 times: The ControlNet service has ended."
    )


def test_a_row_that_loses_many_adapters_with_one_process_goes_on():
    names = [f"control-{number}" for number in range(MAX_LOSSES + 2)]
    events = play(DyingEngine(*range(MAX_LOSSES)), [*map(add, names), steered("row", *names, steps=5)])
    assert ends(events) == {"row": "Finished"}


def test_an_adapter_whose_process_is_away_at_first_is_read_again_and_not_refused():
    engine = RemoteEngine(absences=1)
    later = once(Failed, lambda: [steered("later", "control-away")], request_id="early")
    events = play(engine, [add("control-away"), steered("early", "control-away")], later)
    assert ends(events) == {"early": "Failed", "later": "Finished"}
    assert message_of(events, "early") == (
        "The adapter 'control-away' cannot be read: The ControlNet service does not answer in time."
    )
    assert not any(isinstance(event, AdapterRefused) for event in events)


def test_an_adapter_that_is_removed_while_its_process_is_away_is_not_read_again():
    engine = RemoteEngine(absences=2)
    removal = once(Failed, lambda: [RemoveAdapter(handle=handle("control-away")), run("plain")])
    # A later one has the same reader.
    after = once(Finished, lambda: [add("control-next")], request_id="plain")
    commands = [add("control-away"), steered("early", "control-away")]
    events = play(engine, commands, lambda event: (*removal(event), *after(event)), awaited=3)
    assert [event.handle for event in events if isinstance(event, AdapterAdded)] == [handle("control-next")]


def test_loras_do_not_wait_for_the_process_that_reads_controlnets():
    engine = RemoteEngine()
    commands = [add("control-slow"), add("outline"), run("row", "outline")]
    events = play(engine, commands, once(Finished, opening(engine), request_id="row"))
    assert [event.handle for event in events if isinstance(event, AdapterAdded)] == [
        handle("outline"),
        handle("control-slow"),
    ]


def test_rows_whose_adapter_does_not_come_back_fail_with_its_name_and_no_others():
    engine = FragileEngine(1, gone=True)
    engine.gate.set()
    events = play(engine, [add("control-fragile"), steered("row", steps=5), run("plain", steps=30)])
    assert ends(events) == {"row": "Failed", "plain": "Finished"}
    assert message_of(events, "row") == (
        "The adapter 'control-fragile' cannot be read: The ControlNet service does not answer in time."
    )


def test_the_place_of_a_lost_adapter_goes_to_the_row_that_waits_for_it():
    engine = FragileEngine(*[1] * (MAX_LOSSES + 1))
    engine.gate.set()
    names = ["control-fragile", *(f"control-{number}" for number in range(ADAPTER_CAPACITY.device_controlnets))]
    rows = [steered(name, name, steps=5 if name == names[0] else 500) for name in names]
    known = once(AdapterAdded, lambda: rows, handle=handle(names[-1]))
    events = play(engine, list(map(add, names)), known)
    assert ends(events) == {names[0]: "Failed"} | dict.fromkeys(names[1:], "Finished")
