"""Adapters that are lost in mid-picture: rows that use them wait and go on where they were, and all others go on."""

import threading
from collections import Counter

import msgspec

from fakes.null_engine import NullEngine
from safelight.core.adapter import ControlUse
from safelight.core.errors import AdapterLost, ControlServiceLost
from safelight.core.pixels import Pixels
from safelight.core.work import AdapterAdded, Failed, Finished, Job, Run, Stepped
from safelight.worker.loop import MAX_LOSSES, ROOM
from worker.test_adapters import PATIENCE_S, add, ends, message_of, once, play, run

WHITE = Pixels(width=1, height=1, rgb=b"\xff\xff\xff")


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
        fragile = [row for row in request_ids if "control-fragile@1" in self._requests[row].adapters]
        assert all(self.resident.issuperset(self._requests[row].adapters) for row in request_ids)
        if fragile and self._losses and self._losses[0] == sum(self.steps[row] for row in fragile):
            del self._losses[0]
            raise AdapterLost("control-fragile@1", "The control service has ended.")
        self.steps.update(request_ids)
        return super().step(request_ids)

    def read_adapter(self, name, path):
        self._reads += name == "control-fragile"
        if name == "control-fragile" and self._reads > 2:
            assert self.gate.wait(PATIENCE_S), "the gate stays closed"
            if self._is_gone:
                raise ControlServiceLost("The control service does not answer in time.")
        return super().read_adapter(name, path)


def steered(request_id, name="control-fragile", **fields):
    request = run(request_id, **fields).job.request
    use = ControlUse(name=f"{name}@1", scale=1.0, image=WHITE)
    return Run(job=Job(request=msgspec.structs.replace(request, controls=(use,))))


def test_a_row_goes_on_from_its_step_when_its_adapter_is_back():
    engine = FragileEngine(3)
    engine.gate.set()
    events = play(engine, [add("control-fragile"), steered("row", steps=5)])
    assert ends(events) == {"row": "Finished"}
    assert engine.steps["row"] == 5
    assert [event.step for event in events if isinstance(event, Stepped)] == [1, 2, 3, 4, 5]


def test_other_rows_go_on_meanwhile():
    engine = FragileEngine(1)
    others = [run("plain", steps=30), steered("other", "control-sound", steps=30)]
    known = once(AdapterAdded, lambda: [steered("row", steps=3), *others], handle="control-sound@1")
    opening = once(Finished, lambda: engine.gate.set() or (), request_id="plain")
    events = play(
        engine,
        [add("control-fragile"), add("control-sound")],
        lambda event: (*known(event), *opening(event)),
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
        "The ControlNet 'control-fragile' failed 3 times: The control service has ended."
    )


def test_rows_whose_adapter_does_not_come_back_fail_with_its_name_and_no_others():
    engine = FragileEngine(1, gone=True)
    engine.gate.set()
    events = play(engine, [add("control-fragile"), steered("row", steps=5), run("plain", steps=30)])
    assert ends(events) == {"row": "Failed", "plain": "Finished"}
    assert message_of(events, "row") == (
        "The adapter 'control-fragile' cannot be read: The control service does not answer in time."
    )


def test_the_place_of_a_lost_adapter_goes_to_the_row_that_waits_for_it():
    engine = FragileEngine(*[1] * (MAX_LOSSES + 1))
    engine.gate.set()
    names = ["control-fragile", *(f"control-{number}" for number in range(ROOM.device_controlnets))]
    rows = [steered(name, name, steps=5 if name == names[0] else 500) for name in names]
    known = once(AdapterAdded, lambda: rows, handle=f"{names[-1]}@1")
    events = play(engine, list(map(add, names)), known)
    assert ends(events) == {names[0]: "Failed"} | dict.fromkeys(names[1:], "Finished")
