"""Signs of life, and what they say about progress."""

import os
import threading

import pytest

from safelight.core.frames import frame, read_body
from safelight.core.work import Beat, Dropped
from safelight.worker.event_pipe import EventPipe
from safelight.worker.heartbeat import Activity, Heartbeat

BEAT_S = 0.5


class Scene:
    """A heartbeat whose beats the test gives, and whose clock it owns."""

    def __init__(self):
        self.now = 0.0
        self.sent = []
        self.can_send = True
        self.activity = Activity()
        self.heartbeat = Heartbeat(self.send, beat_s=BEAT_S, progress=self.activity.progress)

    def send(self, beat):
        if self.can_send:
            self.sent.append(beat.busy_s)
        return self.can_send

    def beat(self, *, times=1, after_s=BEAT_S):
        for _ in range(times):
            self.now += after_s
            self.heartbeat.beat(self.now)
        return self.sent[-1] if self.sent else None


@pytest.fixture
def scene():
    scene = Scene()
    scene.activity.begin()
    scene.beat()
    return scene


def test_an_effect_that_goes_on_makes_the_worker_busy_for_longer_and_longer(scene):
    assert scene.beat(times=4) == 4 * BEAT_S


def test_the_next_effect_begins_anew(scene):
    scene.beat(times=4)
    scene.activity.begin()
    assert scene.beat() == 0


def test_a_worker_without_work_is_not_busy(scene):
    scene.activity.rest()
    assert scene.beat(times=10) == 0


def test_time_in_which_the_process_was_stopped_does_not_make_it_busy(scene):
    assert scene.beat(after_s=3600) <= 2 * BEAT_S


def test_time_in_which_the_server_reads_nothing_does_not_make_it_busy(scene):
    scene.can_send = False
    scene.beat(times=100)
    scene.can_send = True
    assert scene.beat() == BEAT_S


@pytest.fixture
def pipe():
    """The pipe of a worker, and the end from which the server reads."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as server, os.fdopen(writing, "wb", buffering=0) as worker:
        yield EventPipe(worker), server


def test_a_beat_is_not_sent_into_a_full_pipe(pipe):
    events, server = pipe
    assert events.try_to_send(Beat())
    long = frame(Dropped(request_id="x" * (1 << 17)))
    writing = threading.Thread(target=events.write, args=(long,))
    writing.start()
    while events.try_to_send(Beat()):
        pass
    assert read_body(server) == frame(Beat())[4:]
    bodies = [read_body(server)]
    while bodies[-1] != long[4:]:
        bodies.append(read_body(server))
    writing.join()
    assert {*bodies} <= {frame(Beat())[4:], long[4:]}


def test_a_pipe_that_nobody_reads_any_more_is_an_error(pipe):
    events, server = pipe
    server.close()
    with pytest.raises(BrokenPipeError):
        events.try_to_send(Beat())
