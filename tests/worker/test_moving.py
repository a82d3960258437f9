"""A picture that two workers paint, one after the other, is the one that either paints alone."""

from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest

import safelight
from safelight.core.frames import HEADER, decode_command, decode_event, frame
from safelight.core.work import Finished, Job, Pause, Paused, Run, Stepped, Stop
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import make_request
from safelight.worker.loop import WorkerLoop

MODEL = Path(safelight.__file__).parent / "models" / "shapes-small"
ONE_BYTE = 1


def over_the_wire(message, decode):
    return decode(frame(message)[HEADER.size :])


def work(job, *, pause_after=None):
    """Have a new worker run a job, all messages encoded; returns the event that ends it."""
    inbox, ends = SimpleQueue(), []

    def send(event):
        event = over_the_wire(event, decode_event)
        if isinstance(event, Stepped) and event.step == pause_after:
            inbox.put(Pause(request_id=event.request_id))
        if isinstance(event, Finished | Paused):
            ends.append(event)
            inbox.put(Stop())

    inbox.put(over_the_wire(Run(job=job), decode_command))
    engine = DiffusionEngine.load([MODEL], max_denoiser_rows=1, lora_ranks=0)
    WorkerLoop(engine, inbox=inbox, send=send, max_denoiser_rows=1).run()
    return ends[0]


@pytest.mark.parametrize("steps", [1, 5])
def test_a_row_moves_between_two_workers_and_becomes_the_same_picture(steps):
    engine = DiffusionEngine.load([MODEL], max_denoiser_rows=1, lora_ranks=0)
    request = make_request(engine.models, "a large red circle left of a small blue star", model=MODEL.name, seed=5)
    stayed = work(Job(request=request)).picture
    paused = work(Job(request=request), pause_after=steps).row
    moved = work(Job(request=request, paused=paused)).picture
    assert paused.steps_run == steps
    one, other = (np.frombuffer(picture.rgb, np.uint8).astype(int) for picture in (stayed, moved))
    assert np.abs(one - other).max() <= ONE_BYTE
