"""The worker's loop decides nothing: a recorded history of events gives the same effects without it."""

from typing import get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.adapters.modes import ADAPTER_MODES, adapter_mode_named
from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.effects import Effect
from safelight.control.replica.events import ReplicaEvent
from safelight.control.replica.machine import ReplicaMachine
from safelight.core.errors import AdapterLost
from safelight.core.source import LatentsHandle
from safelight.core.work import (
    AdapterAdded,
    Cancel,
    DropLatents,
    FetchLatents,
    Finished,
    Pause,
    Paused,
    Place,
    Prefetch,
    PutLatents,
    RemoveAdapter,
    Run,
    Ticked,
)
from safelight.worker.loop import WorkerLoop
from worker.players import add, after_steps, ends, handle, job, once, play, run
from worker.test_adapters import PATIENCE_S, WaywardEngine

SENT = LatentsHandle(id="sent")


class Recorded:
    """A replica that notes what passes in and out."""

    def __init__(self, replica):
        self._replica = replica
        self.history = []

    @property
    def config(self):
        return self._replica.config

    @property
    def is_idle(self):
        return self._replica.is_idle

    def handle(self, event, now):
        effects = self._replica.handle(event, now)
        self.history.append((event, now, effects))
        return effects


class TroubledEngine(WaywardEngine):
    """Loses `control-fragile` before its first step, breaks pictures that overflow, and cannot step poison.

    A late adapter is read again only when `gate` is open, which is after so many steps.
    """

    def __init__(self, *, opens_after=4):
        super().__init__()
        self._opens_after = opens_after
        self._lost = False
        self._steps = 0

    def read_adapter(self, name, path):
        if "late" in name and name in self.reads:
            assert self.gate.wait(PATIENCE_S), "the gate stays closed"
        return super().read_adapter(name, path)

    def step(self, request_ids):
        prompts = {name: self._jobs[name].request.prompt for name in request_ids}
        uses_fragile = any(handle("control-fragile") in self._jobs[name].handles for name in request_ids)
        if uses_fragile and not self._lost:
            self._lost = True
            raise AdapterLost(handle("control-fragile"), "The ControlNet service has ended.")
        if any("poison" in prompt for prompt in prompts.values()):
            raise RuntimeError("out of memory")
        self._steps += 1
        if self._steps == self._opens_after:
            self.gate.set()
        super().step(request_ids)
        return tuple(name for name, prompt in prompts.items() if "overflow" in prompt)


def record(engine, commands, react=lambda event: (), **settings):
    """Run a real loop, and return the history of its replica with what was sent."""
    recorded = Recorded(ReplicaMachine.serving(engine.models, config=ReplicaConfig(**settings)))

    def make_loop(engine, *, inbox, send):
        return WorkerLoop(engine, recorded, inbox=inbox, send=send)

    events = play(engine, commands, react, make_loop=make_loop)
    engine.gate.set()
    return recorded.history, events


def replay(models, history, **settings):
    """Return the effects that a fresh replica asks for, of events that have been written and read."""
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(ReplicaEvent)
    replica = ReplicaMachine.serving(models, config=ReplicaConfig(**settings))
    return [replica.handle(decoder.decode(encoder.encode(event)), now) for event, now, _ in history]


def everything():
    """Commands and reactions that bring about every kind of event and effect."""
    looks = [add(name) for name in ("outline", "late", "heavy", "broken", "stiff", "control-fragile")]
    begin = [
        run("plain", steps=12, previews=3, captures=(0.5,)),
        run("merged", "outline", steps=9),
        run("graced", "late", steps=9, grace_steps=6),
        run("heavy", "heavy"),
        run("refused", "broken"),
        run("bad", prompt="indigestible"),
        run("worse", prompt="indigestible"),
        run("steered", controlnets=["control-fragile"], steps=4),
        run("broken", prompt="overflow", steps=5),
        run("cancelled", steps=100),
        run("paused", steps=100),
    ]
    latents = [
        PutLatents(handle=SENT, file=b"latents"),
        PutLatents(handle=LatentsHandle(id="bad"), file=b"broken"),
        FetchLatents(handle=SENT),
        DropLatents(handle=SENT),
        FetchLatents(handle=SENT),
    ]
    reactions = [
        once(AdapterAdded, lambda: begin, handle=handle("control-fragile")),
        after_steps(3, "plain", lambda: [Cancel(request_id="cancelled"), Pause(request_id="paused"), *latents]),
        after_steps(6, "plain", lambda: [run("poison", prompt="poison", model="null-small"), run("stiff", "stiff")]),
        once(
            Finished, lambda: [Prefetch(handles=(handle("late"),)), Place(handles=()), run("last")], request_id="plain"
        ),
        once(Finished, lambda: [RemoveAdapter(handle=handle("outline"))], request_id="merged"),
    ]

    def react(event):
        commands = [command for reaction in reactions for command in reaction(event)]
        if isinstance(event, Paused):
            commands.append(Run(job=job("paused again", steps=100, first_step=90)))
            commands.append(Run(job=job("resumed", steps=5, paused=event.row)))
        return commands

    return looks, react


def test_a_recorded_history_gives_the_same_effects_through_the_replica_alone():
    engine = TroubledEngine()
    # `always-merged` folds whatever the ticks of this machine cost.
    mode = adapter_mode_named("always-merged")
    history, events = record(engine, *everything(), adapter_mode=mode)
    assert replay(engine.models, history, adapter_mode=mode) == [effects for _, _, effects in history]
    assert set(ends(events).values()) == {"Finished", "Failed", "Dropped", "Paused"}
    kinds = {type(effect) for _, _, effects in history for effect in effects}
    assert kinds == set(get_args(Effect))
    assert {type(event) for event, _, _ in history} == set(get_args(ReplicaEvent))


WISHES = st.tuples(
    st.lists(st.sampled_from(["outline", "late", "half-a", "half-b", "whole", "heavy"]), max_size=2, unique=True),
    st.sampled_from([(), ("control-fragile",)]),
    st.integers(1, 8),
    st.integers(0, 4),
    st.sampled_from(["a circle", "a circle", "a circle", "overflow", "indigestible"]),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(WISHES, min_size=1, max_size=8),
    st.dictionaries(st.integers(1, 8), st.tuples(st.sampled_from([Cancel, Pause]), st.integers(0, 7)), max_size=3),
    st.sampled_from(ADAPTER_MODES),
)
def test_whatever_happens_the_loop_adds_nothing_to_what_the_replica_decides(wishes, withdrawals, mode):
    engine = TroubledEngine()
    names = ["outline", "late", "half-a", "half-b", "whole", "heavy", "control-fragile"]
    rows = [
        run(f"r{index}", *loras, controlnets=nets, steps=steps, grace_steps=grace_steps, prompt=prompt)
        for index, (loras, nets, steps, grace_steps, prompt) in enumerate(wishes)
    ]
    ticks = 0

    def react(event):
        nonlocal ticks
        if not isinstance(event, Ticked):
            return ()
        ticks += 1
        kind, index = withdrawals.get(ticks, (Cancel, len(wishes)))
        return [kind(request_id=f"r{index}")] if index < len(wishes) else ()

    # A plain picture goes on until the late adapter has been read.
    commands = [*map(add, names), *rows, run("plain", steps=8)]
    history, events = record(engine, commands, react, adapter_mode=mode)
    assert replay(engine.models, history, adapter_mode=mode) == [effects for _, _, effects in history]
    assert ends(events).keys() == {"plain", *(f"r{index}" for index in range(len(wishes)))}
