"""Pictures that begin while their LoRAs are still being read, in the worker's own loop."""

import threading
from collections import Counter
from queue import SimpleQueue

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.adapters.modes import ADAPTER_MODE_NAMES, adapter_mode_named
from safelight.control.replica.events import AdapterNotRead, AdapterRead
from safelight.core.work import AdapterAdded, Cancel, Dropped, Finished, Prefetch, Started
from worker.players import add, after_steps, ends, handle, message_of, once, play, run, steps_of
from worker.test_adapters import PATIENCE_S, WaywardEngine

OUTLINE = handle("outline")
LONG = 14
"""Steps of the plain picture that keeps the worker busy."""


class TardyEngine(WaywardEngine):
    """Once it has looked at a tardy adapter, it reads it anew only in its step number `after`.

    That step lasts until the worker has been told of it, so that the weights come exactly between two ticks.
    """

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after
        self.inbox = NotingInbox()
        self.bare = Counter[str]()
        self.steps = 0
        self.gate.clear()

    def read_adapter(self, name, path):
        if "tardy" in name and name in self.reads:
            assert self.gate.wait(PATIENCE_S), "the gate stays closed"
            if "lost" in name:
                self.reads.append(name)
                raise OSError("the disk is gone")
        return super().read_adapter(name, path)

    def step(self, request_ids):
        self.bare.update(name for name in request_ids if not self._jobs[name].request.loras)
        self.steps += 1
        if self.steps == self.after:
            self.open()
        return super().step(request_ids)

    def open(self):
        self.inbox.reads.clear()
        self.gate.set()
        assert self.inbox.reads.wait(PATIENCE_S), "nothing is read"


class NotingInbox(SimpleQueue):
    """Notes that the worker has been told of tardy weights that it had looked at before."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = threading.Event()
        self._looks = set()

    def put(self, item):
        super().put(item)
        if isinstance(item, AdapterRead | AdapterNotRead) and "tardy" in item.handle.name:
            if item.handle in self._looks:
                self.reads.set()
            self._looks.add(item.handle)


def play_late(engine, names, rows, react=lambda event: (), **settings):
    """Run `rows` and a plain picture that goes on for long, once the adapters of these names have been looked at."""
    begin = once(AdapterAdded, lambda: [*rows, run("plain", steps=LONG)], handle=handle(names[-1]))
    looks = [add(name) for name in names]
    return play(engine, looks, lambda event: (*begin(event), *react(event)), inbox=engine.inbox, **settings)


def told(events, request_id):
    (finished,) = (event for event in events if isinstance(event, Finished) and event.request_id == request_id)
    return finished.steps_without_loras


@settings(max_examples=60, deadline=None)
@given(
    grace_steps=st.integers(0, LONG),
    after=st.integers(1, LONG - 2),
    steps=st.integers(1, LONG),
    adapter_mode=st.sampled_from(["always-unmerged", "payback"]),
)
def test_whenever_the_weights_come_the_steps_without_them_are_those_before_but_within_the_grace(
    grace_steps, after, steps, adapter_mode
):
    engine = TardyEngine(after)
    row = run("late", "tardy", grace_steps=grace_steps, steps=steps)
    events = play_late(engine, ["tardy"], [row], adapter_mode=adapter_mode_named(adapter_mode))
    assert ends(events) == {"late": "Finished", "plain": "Finished"}
    assert told(events, "late") == engine.bare["late"] == min(grace_steps, after, steps)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=5),
    st.integers(1, LONG - 2),
    st.sampled_from(ADAPTER_MODE_NAMES),
)
def test_under_every_policy_no_picture_of_a_crowd_goes_beyond_its_grace(wishes, after, adapter_mode):
    engine = TardyEngine(after)
    rows = [
        run(f"r{index}", "tardy", grace_steps=grace_steps, steps=steps)
        for index, (grace_steps, steps) in enumerate(wishes)
    ]
    events = play_late(engine, ["tardy"], rows, adapter_mode=adapter_mode_named(adapter_mode))
    for index, (grace_steps, _) in enumerate(wishes):
        assert told(events, f"r{index}") == engine.bare[f"r{index}"] <= grace_steps


def test_in_a_deterministic_worker_no_step_runs_without_the_loras():
    engine = TardyEngine(after=4)
    events = play_late(engine, ["tardy"], [run("late", "tardy", grace_steps=9, steps=9)], deterministic=True)
    assert (told(events, "late"), engine.bare["late"]) == (0, 0)


def test_weights_that_are_there_cost_no_step():
    engine = TardyEngine(after=3)
    again = once(Finished, lambda: [run("second", "tardy", grace_steps=5)], request_id="first")
    events = play_late(engine, ["tardy"], [run("first", "tardy", grace_steps=5, steps=8)], again)
    assert (told(events, "first"), told(events, "second")) == (3, 0)


def test_all_loras_of_a_picture_come_in_the_same_step():
    engine = TardyEngine(after=4)
    events = play_late(engine, ["outline", "tardy"], [run("both", "outline", "tardy", grace_steps=9, steps=9)])
    assert told(events, "both") == 4


def test_a_picture_whose_grace_is_used_up_stands_still_while_others_go_on():
    engine = TardyEngine(after=LONG - 2)
    events = play_late(engine, ["tardy"], [run("late", "tardy", grace_steps=3, steps=9)])
    assert told(events, "late") == 3
    meanwhile = next(end for end in range(len(events)) if steps_of(events[:end], "plain") == LONG - 3)
    assert steps_of(events[:meanwhile], "late") == 3


def test_a_picture_without_grace_does_not_start_before_its_loras_are_there():
    engine = TardyEngine(after=5)
    events = play_late(engine, ["tardy"], [run("late", "tardy", grace_steps=0, steps=3)])
    started = events.index(Started(request_id="late"))
    assert steps_of(events[:started], "plain") >= 5


def test_a_picture_does_not_start_without_its_controlnets():
    engine = TardyEngine(after=5)
    row = run("steered", "outline", grace_steps=9, controlnets=["control-tardy"], steps=9)
    events = play_late(engine, ["outline", "control-tardy"], [row])
    started = events.index(Started(request_id="steered"))
    assert steps_of(events[:started], "plain") >= 5


def test_a_picture_with_its_controlnets_may_start_without_its_loras():
    engine = TardyEngine(after=1000)
    row = run("steered", "tardy", grace_steps=9, controlnets=["control-edges"], steps=12)
    stepped = after_steps(2, "steered", lambda: engine.open() or ())
    events = play_late(engine, ["control-edges", "tardy"], [row], stepped)
    assert told(events, "steered") == 2


def test_a_picture_that_waits_for_room_on_the_device_may_start_too():
    engine = WaywardEngine()
    rows = [run("first", "whole-a", steps=6), run("second", "whole-b", grace_steps=3, steps=5)]
    begin = once(AdapterAdded, lambda: rows, handle=handle("whole-b"))
    events = play(engine, [add("whole-a"), add("whole-b")], begin)
    assert told(events, "second") == 3


def test_a_picture_may_start_while_its_lora_is_looked_at_for_the_first_time():
    engine = WaywardEngine()
    reached = after_steps(2, "early", lambda: engine.gate.set() or ())
    events = play(engine, [add("slow"), run("early", "slow", grace_steps=2, steps=4)], reached)
    assert told(events, "early") == 2


@pytest.mark.parametrize("grace_steps", [2, LONG])
def test_a_picture_whose_lora_never_comes_fails_with_the_reason(grace_steps):
    engine = TardyEngine(after=5)
    events = play_late(engine, ["tardy-lost"], [run("late", "tardy-lost", grace_steps=grace_steps, steps=LONG)])
    assert ends(events) == {"late": "Failed", "plain": "Finished"}
    assert "'tardy-lost' cannot be read" in message_of(events, "late")
    assert "the disk is gone" in message_of(events, "late")


def test_a_prompt_that_cannot_be_encoded_with_the_loras_fails_alone():
    class Choking(TardyEngine):
        def equip(self, jobs):
            if any("indigestible" in job.request.prompt for job in jobs):
                raise RuntimeError("out of memory")
            super().equip(jobs)

        def begin(self, jobs):
            super(WaywardEngine, self).begin(jobs)

    rows = [
        run("bad", "tardy", grace_steps=2, steps=6, prompt="indigestible"),
        run("good", "tardy", grace_steps=2, steps=6),
    ]
    events = play_late(Choking(after=4), ["tardy"], rows)
    assert ends(events) == {"bad": "Failed", "good": "Finished", "plain": "Finished"}
    assert message_of(events, "bad") == "The picture could not be prepared: out of memory"


def test_a_picture_cancelled_while_it_stands_still_makes_room():
    engine = TardyEngine(after=LONG)
    rows = [run("first", "whole-tardy", grace_steps=1, steps=5), run("second", "whole-b", steps=3)]
    stands = after_steps(4, "plain", lambda: [Cancel(request_id="first")])
    dropped = once(Dropped, lambda: engine.gate.set() or (), request_id="first")
    events = play_late(engine, ["whole-b", "whole-tardy"], rows, lambda event: (*stands(event), *dropped(event)))
    assert ends(events) == {"first": "Dropped", "second": "Finished", "plain": "Finished"}
    assert steps_of(events, "first") == 1


def test_what_is_announced_is_read_before_the_job_comes():
    engine = WaywardEngine()
    hint = once(AdapterAdded, lambda: [Prefetch(handles=(OUTLINE,)), run("plain", steps=LONG)], handle=OUTLINE)
    late = after_steps(2, "plain", lambda: until_read(engine) or [run("late", "outline")])
    events = play(engine, [add("outline")], lambda event: (*hint(event), *late(event)))
    assert ends(events) == {"plain": "Finished", "late": "Finished"}
    assert engine.reads == ["outline"] * 2
    assert engine.moves == ["load outline@1"]


def test_what_is_announced_before_it_was_looked_at_is_read_after():
    engine = WaywardEngine()
    looked = once(AdapterAdded, lambda: [run("plain")])
    watch = once(Started, lambda: until_read(engine) or (), request_id="plain")
    commands = [Prefetch(handles=(OUTLINE, handle("ghost"))), add("outline")]
    play(engine, commands, lambda event: (*looked(event), *watch(event)))
    assert engine.reads == ["outline"] * 2
    assert engine.moves == []


def until_read(engine):
    """Wait until the adapter that was looked at has been read again."""
    assert engine.read_twice.wait(PATIENCE_S), "it is not read ahead"
