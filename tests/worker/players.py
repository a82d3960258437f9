"""Jobs for tests of the worker's loop, and loops that run them."""

from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue

from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.machine import ReplicaMachine
from safelight.core.adapter import AdapterHandle, ControlNetUse, LoraUse
from safelight.core.job import Job
from safelight.core.level import Level
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.work import (
    AdapterAdded,
    AdapterRefused,
    AddAdapter,
    Dropped,
    Failed,
    Finished,
    Paused,
    Run,
    Stop,
    Ticked,
    WorkerCommand,
    WorkerEvent,
)
from safelight.worker.engine import Engine
from safelight.worker.loop import Inbox, WorkerLoop

SIDE = 64
WHITE = Pixels(width=SIDE, height=SIDE, rgb=bytes([255]) * (SIDE * SIDE * 3))

React = Callable[[WorkerEvent], Iterable[WorkerCommand]]


def handle(name: str, generation: int = 1) -> AdapterHandle:
    return AdapterHandle(name=name, generation=generation)


def job(
    request_id: str,
    *loras: str,
    controlnets: Sequence[str] = (),
    model: str = "null-large",
    prompt: str = "a circle",
    steps: int = 3,
    guidance_scale: float = 1.0,
    first_step: int = 0,
    captures: tuple[float, ...] = (),
    start=None,
    paused=None,
    gate: str | None = None,
    **asked,
) -> Job:
    """A job for the first generation of these adapters."""
    request = ImageRequest(
        id=request_id,
        prompt=prompt,
        width=SIDE,
        height=SIDE,
        seed=1,
        arrived_s=0.0,
        loras=tuple(LoraUse(name=name, scale=1.0) for name in loras),
        controlnets=tuple(ControlNetUse(name=name, scale=1.0, image=WHITE) for name in controlnets),
        **asked,
    )
    level = Level(
        model=model,
        steps=steps,
        guidance_scale=guidance_scale,
        sampler="euler",
        start=start,
        first_step=first_step,
        captures=captures,
    )
    return Job(
        request=request,
        level=level,
        adapters=tuple(handle(name) for name in (*controlnets, *loras)),
        paused=paused,
        gate=gate,
    )


def run(request_id: str, *loras: str, steps: int = 2, **fields) -> Run:
    return Run(job=job(request_id, *loras, steps=steps, **fields))


def add(name: str, generation: int = 1) -> AddAdapter:
    return AddAdapter(handle=handle(name, generation), path=f"/adapters/{name}.safetensors")


def loop(engine: Engine, *, inbox: Inbox, send, **config) -> WorkerLoop:
    """A loop over a real replica."""
    replica = ReplicaMachine.serving(engine.models, config=ReplicaConfig(**config))
    return WorkerLoop(engine, replica, inbox=inbox, send=send)


def play(
    engine: Engine,
    commands: Sequence[WorkerCommand],
    react: React = lambda event: (),
    *,
    awaited: int | None = None,
    inbox: Inbox | None = None,
    make_loop=loop,
    **config,
) -> list[WorkerEvent]:
    """Run a loop until all pictures have ended and all adapters are judged, or until `awaited` of that has happened.

    `react` may answer an event with commands.
    """
    inbox = SimpleQueue() if inbox is None else inbox
    events: list[WorkerEvent] = []
    open_ends = awaited or 0

    def tell(some: Iterable[WorkerCommand]) -> None:
        nonlocal open_ends
        for command in some:
            inbox.put(command)
            open_ends += isinstance(command, Run | AddAdapter) and awaited is None

    def send(event: WorkerEvent) -> None:
        nonlocal open_ends
        events.append(event)
        tell(react(event))
        if isinstance(event, Finished | Failed | Dropped | Paused | AdapterAdded | AdapterRefused):
            open_ends -= 1
            if open_ends == 0:
                inbox.put(Stop())

    tell(commands)
    make_loop(engine, inbox=inbox, send=send, **config).run()
    return events


def once(kind: type, commands: Callable[[], Iterable[WorkerCommand]], **fields) -> React:
    """Answer the first event of this kind with these fields."""
    answered = False

    def react(event: WorkerEvent) -> Iterable[WorkerCommand]:
        nonlocal answered
        is_it = isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
        if answered or not is_it:
            return ()
        answered = True
        return commands()

    return react


def after_steps(steps: int, request_id: str, commands: Callable[[], Iterable[WorkerCommand]]) -> React:
    """Answer the event that tells that a picture has run so many steps."""
    ran = 0

    def react(event: WorkerEvent) -> Iterable[WorkerCommand]:
        nonlocal ran
        if not has_stepped(event, request_id):
            return ()
        ran += 1
        return commands() if ran == steps else ()

    return react


def has_stepped(event: WorkerEvent, request_id: str) -> bool:
    return isinstance(event, Ticked) and request_id in event.request_ids


def steps_of(events: Iterable[WorkerEvent], request_id: str) -> int:
    """How many steps a picture has run."""
    return sum(has_stepped(event, request_id) for event in events)


def ends(events: Iterable[WorkerEvent]) -> dict[str, str]:
    """How each picture ended."""
    ended = [event for event in events if isinstance(event, Finished | Failed | Dropped | Paused)]
    assert len({event.request_id for event in ended}) == len(ended), "a picture ended twice"
    return {event.request_id: type(event).__name__ for event in ended}


def message_of(events: Iterable[WorkerEvent], request_id: str) -> str:
    (failed,) = (event for event in events if isinstance(event, Failed) and event.request_id == request_id)
    return failed.message
