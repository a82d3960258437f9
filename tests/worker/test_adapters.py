"""Adapters in the worker's loop: rows wait for what they need, and nothing that goes wrong touches other rows."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.null_engine import NullEngine
from safelight.adapters.modes import ADAPTER_MODE_NAMES, adapter_mode_named
from safelight.control.replica.config import ADAPTER_CAPACITY
from safelight.core.model import AdapterCosts
from safelight.core.work import (
    AdapterAdded,
    AdapterEvicted,
    AdapterLoaded,
    AdapterRefused,
    Cancel,
    Dropped,
    Failed,
    Finished,
    Place,
    RemoveAdapter,
    Started,
    Stop,
    WorkerCommand,
)
from worker.players import add, ends, handle, message_of, once, play, run

PATIENCE_S = 20.0
HALF = ADAPTER_CAPACITY.device_ranks // 2
COSTS = AdapterCosts(switch_s=1e-6, unmerged_overhead=0.5, correction_overhead=0.5)


class WaywardEngine(NullEngine):
    """Does to adapters what their names say, and notes what it did.

    `gate` has to be open for it to read slow ones. Fickle ones cannot be read a second time, and only then.
    """

    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.gate = threading.Event()
        self.reads: list[str] = []
        self.read_twice = threading.Event()
        self.moves: list[str] = []
        self.models = tuple(msgspec.structs.replace(spec, adapter_costs=COSTS) for spec in self.models)

    def begin(self, jobs):
        if any("indigestible" in job.request.prompt for job in jobs):
            raise RuntimeError("out of memory")
        super().begin(jobs)

    def read_adapter(self, name: str, path: Path):
        if "slow" in name:
            assert self.gate.wait(PATIENCE_S), "the gate stays closed"
        self.reads.append(name)
        if self.reads.count(name) == 2:
            self.read_twice.set()
        if "odd" in name:
            raise KeyError(name)
        if "fickle" in name and self.reads.count(name) == 2:
            raise OSError("the disk is gone")
        spec, weights = super().read_adapter(name, path)
        if "half" in name:
            spec = msgspec.structs.replace(spec, ranks=(HALF,))
        if "whole" in name:
            spec = msgspec.structs.replace(spec, ranks=(ADAPTER_CAPACITY.device_ranks,))
        if "huge" in name or ("growing" in name and self.reads.count(name) > 1):
            spec = msgspec.structs.replace(spec, ranks=(ADAPTER_CAPACITY.device_ranks + 1,))
        return spec, weights

    def load_adapter(self, handle, weights: bytes) -> None:
        if "heavy" in handle.name:
            raise RuntimeError("out of memory")
        super().load_adapter(handle, weights)
        self.moves.append(f"load {handle}")

    def evict_adapter(self, handle) -> None:
        super().evict_adapter(handle)
        self.moves.append(f"evict {handle}")

    def fold(self, model, composition) -> None:
        if any("stiff" in handle.name for handle in composition.handles):
            raise RuntimeError("out of memory")
        super().fold(model, composition)


def opening(engine: WaywardEngine, *commands: WorkerCommand) -> Callable[[], Iterable[WorkerCommand]]:
    def answer() -> Iterable[WorkerCommand]:
        engine.gate.set()
        return commands

    return answer


def test_an_adapter_that_can_be_read_is_told_with_what_it_is():
    (_, added) = play(NullEngine(), [add("outline")])
    assert isinstance(added, AdapterAdded)
    assert (added.handle, added.spec.name, added.spec.model) == (handle("outline"), "outline", "null-large")


def test_an_adapter_that_cannot_be_read_is_refused_in_the_engines_words():
    (_, refused) = play(NullEngine(), [add("broken")])
    assert refused == AdapterRefused(handle=handle("broken"), message="'broken.safetensors' is broken.")


@pytest.mark.parametrize("name", ["odd", "huge", "broken"])
def test_after_a_refusal_the_worker_goes_on(name):
    events = play(WaywardEngine(), [add(name), run("plain")])
    assert any(isinstance(event, AdapterRefused) for event in events)
    assert ends(events) == {"plain": "Finished"}


def test_a_row_waits_for_its_adapters_while_others_go_on():
    engine = WaywardEngine()
    events = play(
        engine,
        [add("slow"), run("patient", "slow"), run("plain", steps=5)],
        once(Finished, opening(engine), request_id="plain"),
    )
    assert list(ends(events).items()) == [("plain", "Finished"), ("patient", "Finished")]


def test_a_row_may_come_before_its_adapters_have_been_looked_at():
    events = play(NullEngine(), [add("outline"), add("mask"), run("early", "outline", "mask")])
    assert ends(events) == {"early": "Finished"}


def test_a_row_that_came_early_fails_when_its_adapter_is_refused():
    events = play(NullEngine(), [add("outline"), add("broken"), run("early", "outline", "broken"), run("plain")])
    assert ends(events) == {"early": "Failed", "plain": "Finished"}
    assert message_of(events, "early") == "The adapter 'broken' cannot be used: 'broken.safetensors' is broken."


def test_a_job_with_an_unknown_handle_fails_and_names_the_adapter():
    events = play(NullEngine(), [run("lost", "ghost"), run("plain")])
    assert ends(events) == {"lost": "Failed", "plain": "Finished"}
    assert message_of(events, "lost") == "The worker has no adapter 'ghost'."


def test_a_failed_read_fails_the_rows_that_wait_for_it_and_no_others():
    rows = [run("one", "fickle"), run("both", "fickle", "outline"), run("fine", "outline"), run("plain")]
    events = play(WaywardEngine(), [add("fickle"), add("outline"), *rows])
    assert ends(events) == {"one": "Failed", "both": "Failed", "fine": "Finished", "plain": "Finished"}
    assert "'fickle' cannot be read" in message_of(events, "one")
    assert "the disk is gone" in message_of(events, "one")


def test_a_read_that_failed_is_tried_again_for_the_next_row():
    again = once(Failed, lambda: [run("second", "fickle")], request_id="first")
    assert ends(play(WaywardEngine(), [add("fickle"), run("first", "fickle")], again)) == {
        "first": "Failed",
        "second": "Finished",
    }


def test_weights_that_the_device_does_not_take_fail_their_rows_and_no_others():
    rows = [run("one", "heavy"), run("both", "heavy", "outline"), run("fine", "outline"), run("plain")]
    engine = WaywardEngine()
    events = play(engine, [add("heavy"), add("outline"), *rows])
    assert ends(events) == {"one": "Failed", "both": "Failed", "fine": "Finished", "plain": "Finished"}
    assert "'heavy' cannot be brought to the device: out of memory" in message_of(events, "one")
    assert engine.moves == ["load outline@1"]


def test_weights_that_the_device_did_not_take_are_read_afresh_for_the_next_row():
    engine = WaywardEngine()
    again = once(Failed, lambda: [run("second", "heavy")], request_id="first")
    play(engine, [add("heavy"), run("first", "heavy")], again)
    assert engine.reads == ["heavy"] * 3


def test_a_file_that_has_changed_since_it_was_added_is_not_used():
    events = play(WaywardEngine(), [add("growing"), run("one", "growing")])
    assert "has changed since it was added" in message_of(events, "one")


def test_adapters_of_one_row_that_never_fit_together_fail_it():
    events = play(WaywardEngine(), [add("whole"), add("outline"), run("greedy", "whole", "outline"), run("plain")])
    assert ends(events) == {"greedy": "Failed", "plain": "Finished"}
    assert "at most 1" in message_of(events, "greedy")


def test_weights_leave_the_device_only_when_no_row_uses_them_any_more():
    engine = WaywardEngine()
    rows = [run("first", "half-a", "half-b"), run("second", "whole"), run("third", "half-a")]
    known = once(AdapterAdded, lambda: rows, handle=handle("whole"))
    events = play(engine, [add("half-a"), add("half-b"), add("whole")], known)
    assert list(ends(events).items()) == [("first", "Finished"), ("second", "Finished"), ("third", "Finished")]
    assert engine.moves[2:] == ["evict half-b@1", "evict half-a@1", "load whole@1", "evict whole@1", "load half-a@1"]


def test_weights_stay_on_the_device_for_whoever_comes_next():
    engine = WaywardEngine()
    play(
        engine,
        [add("outline"), run("first", "outline")],
        once(Finished, lambda: [run("second", "outline")], request_id="first"),
    )
    assert engine.moves == ["load outline@1"]
    assert engine.reads == ["outline"] * 2


def test_loads_and_evictions_are_told():
    rows = [run("first", "whole-a"), run("second", "whole-b")]
    events = play(WaywardEngine(), [add("whole-a"), add("whole-b"), *rows])
    moves = [event for event in events if isinstance(event, AdapterLoaded | AdapterEvicted)]
    assert [(type(move), move.handle.name) for move in moves] == [
        (AdapterLoaded, "whole-a"),
        (AdapterEvicted, "whole-a"),
        (AdapterLoaded, "whole-b"),
    ]


def test_a_removed_adapter_leaves_the_device_and_is_unknown_from_then_on():
    engine = WaywardEngine()
    removal = once(
        Finished, lambda: [RemoveAdapter(handle=handle("outline")), run("late", "outline")], request_id="first"
    )
    events = play(engine, [add("outline"), run("first", "outline")], removal)
    assert engine.moves == ["load outline@1", "evict outline@1"]
    assert ends(events) == {"first": "Finished", "late": "Failed"}


def test_removing_an_unknown_adapter_is_ignored():
    assert ends(play(NullEngine(), [RemoveAdapter(handle=handle("ghost")), run("plain")])) == {"plain": "Finished"}


def test_an_adapter_that_is_removed_while_it_is_read_does_not_come_back():
    engine = WaywardEngine()
    commands = [add("slow"), RemoveAdapter(handle=handle("slow")), run("plain"), add("outline")]
    events = play(engine, commands, once(Finished, opening(engine), request_id="plain"), awaited=2)
    assert [event.handle for event in events if isinstance(event, AdapterAdded)] == [handle("outline")]


def test_the_next_adapter_of_a_name_is_another_one():
    engine = WaywardEngine()
    successor = [RemoveAdapter(handle=handle("outline")), add("outline", 2)]
    events = play(engine, [add("outline"), run("first", "outline")], once(Finished, lambda: successor))
    assert [event.handle for event in events if isinstance(event, AdapterAdded)] == [
        handle("outline"),
        handle("outline", 2),
    ]
    assert engine.resident == set()


def test_a_row_can_be_cancelled_while_it_waits():
    engine = WaywardEngine()
    dropped = once(Dropped, opening(engine, run("next", "slow")), request_id="impatient")
    cancelled = once(Started, lambda: [Cancel(request_id="impatient")], request_id="plain")
    events = play(
        engine,
        [add("slow"), run("impatient", "slow"), run("plain")],
        lambda event: (*cancelled(event), *dropped(event)),
    )
    assert ends(events) == {"impatient": "Dropped", "plain": "Finished", "next": "Finished"}
    assert not any(isinstance(event, Started) and event.request_id == "impatient" for event in events)


def test_a_row_that_waits_for_room_gets_it_when_the_one_before_is_cancelled():
    rows = [run("first", "whole-a", steps=100_000), run("second", "whole-b")]
    cancel = once(Started, lambda: [Cancel(request_id="first")], request_id="first")
    events = play(WaywardEngine(), [add("whole-a"), add("whole-b"), *rows], cancel)
    assert ends(events) == {"first": "Dropped", "second": "Finished"}


def test_a_row_that_cannot_begin_makes_room_for_the_next():
    rows = [run("bad", "whole-a", prompt="indigestible"), run("next", "whole-b")]
    events = play(WaywardEngine(), [add("whole-a"), add("whole-b"), *rows])
    assert ends(events) == {"bad": "Failed", "next": "Finished"}


def test_nothing_is_folded_that_left_when_its_rows_could_not_begin():
    bad = [run(name, "whole-a", prompt="indigestible") for name in ("bad", "worse")]
    rows = [*bad, run("next", "whole-b"), run("plain")]
    both_read = once(Finished, lambda: [run("after", "whole-a")], request_id="before")
    at_hand = once(Finished, lambda: rows, request_id="after")
    events = play(
        WaywardEngine(),
        [add("whole-a"), add("whole-b"), run("before", "whole-b")],
        lambda event: (*both_read(event), *at_hand(event)),
        adapter_mode=adapter_mode_named("always-corrected"),
    )
    assert [name for name, end in ends(events).items() if end == "Failed"] == ["bad", "worse"]


def test_what_cannot_be_folded_fails_its_rows_and_later_ones_go_on():
    after = once(Failed, lambda: [run("plain"), run("fine", "outline")])
    events = play(
        WaywardEngine(),
        [add("stiff"), add("outline"), run("one", "stiff")],
        after,
        adapter_mode=adapter_mode_named("always-merged"),
    )
    assert ends(events) == {"one": "Failed", "plain": "Finished", "fine": "Finished"}
    assert message_of(events, "one") == "The adapters could not be brought into the weights: out of memory"


def test_a_worker_that_is_stopped_reads_nothing_more():
    engine = WaywardEngine()
    play(engine, [add("slow-a"), add("slow-b"), Stop()])
    engine.gate.set()
    assert engine.reads in ([], ["slow-a"])


RANKS = {"outline": 4, "whole": ADAPTER_CAPACITY.device_ranks} | dict.fromkeys(("half-a", "half-b", "half-c"), HALF)
GOOD, BAD = tuple(RANKS), ("heavy", "growing", "broken", "odd")
WISHES = st.lists(st.sampled_from([*GOOD, *GOOD, *BAD]), max_size=3, unique=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(WISHES, min_size=1, max_size=8),
    st.permutations([*GOOD, *BAD]),
    st.data(),
    st.sampled_from(ADAPTER_MODE_NAMES),
)
def test_every_picture_ends_once_and_well_unless_its_own_adapters_are_at_fault(wishes, names, data, adapter_mode):
    known = data.draw(st.integers(0, len(names)))
    rows = [run(f"r{index}", *wish) for index, wish in enumerate(wishes)]
    commands = [*map(add, names[:known]), *rows, *map(add, names[known:])]
    events = play(WaywardEngine(), commands, adapter_mode=adapter_mode_named(adapter_mode))
    sound = {*GOOD} & {*names[:known]}
    assert ends(events) == {
        f"r{index}": "Finished"
        if sound.issuperset(wish) and sum(RANKS[name] for name in wish) <= ADAPTER_CAPACITY.device_ranks
        else "Failed"
        for index, wish in enumerate(wishes)
    }


def test_what_is_placed_is_loaded_without_a_job_and_unloaded_on_command():
    engine = WaywardEngine()
    outline = handle("outline")
    reactions = [
        once(AdapterAdded, lambda: [Place(handles=(outline,))], handle=outline),
        once(AdapterLoaded, lambda: [Place(handles=())], handle=outline),
        once(AdapterEvicted, lambda: [run("last", "outline")], handle=outline),
    ]
    events = play(
        engine, [add("outline")], lambda event: [each for react in reactions for each in react(event)], awaited=2
    )
    assert ends(events) == {"last": "Finished"}
    assert engine.moves == ["load outline@1", "evict outline@1", "load outline@1"]
    assert engine.reads == ["outline"] * 2
