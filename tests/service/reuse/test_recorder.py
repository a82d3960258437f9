"""What a picture leaves, in whatever order workers report."""

import itertools

import pytest

from core.makers import a_level, a_request
from safelight.core.level import Route
from safelight.core.outcome import Outcome, StageOutcome
from safelight.core.pixels import Pixels
from safelight.core.source import LatentsHandle
from safelight.core.work import Captured, DropLatents, FetchLatents, Finished, LatentsDropped, LatentsFetched
from safelight.service.reuse.recorder import Recorder

FIRST, SECOND = LatentsHandle("first"), LatentsHandle("second")
LEVEL = a_level()
OUTCOME = Outcome(
    request=a_request(), route=Route(levels=(LEVEL,)), status="finished", stages=(StageOutcome(level=LEVEL),)
)
FINISHED = Finished(request_id="one", picture=Pixels(width=1, height=1, rgb=b"rgb"), compute_s=1.0, prompt_tokens=3)


class Case:
    def __init__(self):
        self.sent = []
        self.recorded = []
        self.learned = []
        self.recorder = Recorder(
            send=lambda worker, command: self.sent.append((worker, command)),
            record=self.recorded.append,
            learn=lambda request_id, noises: self.learned.append((request_id, noises)),
        )
        self.recorder.begin("one")

    def captured(self, handle, noise, worker="w1"):
        self.recorder.note(
            worker, Captured(request_id="one", handle=handle, noise=noise, latents_bytes=3, noises=(1.0, 0.5))
        )

    def fetched(self, handle, file=b"file", worker="w1"):
        self.recorder.note(worker, LatentsFetched(handle=handle, file=file))

    def finish(self):
        self.recorder.finished(OUTCOME, FINISHED)

    @property
    def latents(self):
        (recording,) = self.recorded
        return [handle for _, handle, _ in recording.latents]


def test_captured_latents_are_fetched_and_then_freed_in_the_worker():
    case = Case()
    case.captured(FIRST, 0.9)
    case.fetched(FIRST)
    assert case.sent == [("w1", FetchLatents(handle=FIRST)), ("w1", DropLatents(handle=FIRST))]
    assert case.learned == [("one", (1.0, 0.5))]


@pytest.mark.parametrize("order", list(itertools.permutations(["first", "second", "finish"])), ids=" ".join)
def test_a_picture_is_recorded_once_with_its_latents_from_high_to_low_noise(order):
    case = Case()
    case.captured(SECOND, 0.5)
    case.captured(FIRST, 0.9)
    for step in order:
        assert not case.recorded
        case.finish() if step == "finish" else case.fetched(LatentsHandle(step))
    assert case.latents == [FIRST, SECOND]
    assert not len(case.recorder)


@pytest.mark.parametrize("loss", ["not kept", "dropped", "worker"])
def test_lost_latents_are_left_out_and_hold_nothing_up(loss):
    case = Case()
    case.captured(FIRST, 0.9)
    case.captured(SECOND, 0.5)
    case.fetched(SECOND)
    case.finish()
    match loss:
        case "not kept":
            case.fetched(FIRST, file=None)
        case "dropped":
            case.recorder.note("w1", LatentsDropped(handle=FIRST))
        case "worker":
            case.recorder.lost("w1")
    assert case.latents == [SECOND]


def test_a_new_attempt_in_another_worker_leaves_only_its_own_latents():
    case = Case()
    case.captured(FIRST, 0.9)
    case.captured(SECOND, 0.5, worker="w2")
    case.fetched(FIRST)
    case.fetched(SECOND, worker="w2")
    case.finish()
    assert case.latents == [SECOND]


def test_latents_of_a_request_that_leaves_nothing_are_freed():
    case = Case()
    case.recorder.dropped("one")
    case.captured(FIRST, 0.9)
    assert case.sent == [("w1", DropLatents(handle=FIRST))]
