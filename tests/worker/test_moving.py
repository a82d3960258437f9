"""A picture that two workers paint, one after the other, is the one that either paints alone."""

from pathlib import Path
from queue import SimpleQueue

import msgspec
import numpy as np
import pytest

import safelight
from safelight.core.frames import HEADER, decode_command, decode_event, frame
from safelight.core.work import Finished, Pause, Paused, Run, Stop, Ticked
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import make_job
from worker.players import loop

MODEL = Path(safelight.__file__).parent / "models" / "shapes-small"
ONE_BYTE = 1


def over_the_wire(message, decode):
    return decode(frame(message)[HEADER.size :])


def work(job, *, pause_after=None):
    """Have a new worker run a job, all messages encoded; returns the event that ends it."""
    inbox, ends, ticks = SimpleQueue(), [], 0

    def send(event):
        nonlocal ticks
        event = over_the_wire(event, decode_event)
        ticks += isinstance(event, Ticked)
        if isinstance(event, Ticked) and ticks == pause_after:
            inbox.put(Pause(request_id=job.id))
        if isinstance(event, Finished | Paused):
            ends.append(event)
            inbox.put(Stop())

    inbox.put(over_the_wire(Run(job=job), decode_command))
    engine = DiffusionEngine.load([MODEL], max_denoiser_rows=1, lora_ranks=0)
    loop(engine, inbox=inbox, send=send, max_denoiser_rows=1).run()
    return ends[0]


@pytest.mark.parametrize("steps", [1, 5])
def test_a_row_moves_between_two_workers_and_becomes_the_same_picture(steps):
    engine = DiffusionEngine.load([MODEL], max_denoiser_rows=1, lora_ranks=0)
    job = make_job(engine.models, "a large red circle left of a small blue star", model=MODEL.name, seed=5)
    stayed = work(job).picture
    paused = work(job, pause_after=steps).row
    moved = work(msgspec.structs.replace(job, paused=paused)).picture
    assert paused.steps_run == steps
    one, other = (np.frombuffer(picture.rgb, np.uint8).astype(int) for picture in (stayed, moved))
    assert np.abs(one - other).max() <= ONE_BYTE
