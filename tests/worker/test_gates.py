"""Scores of finished pictures, by the gates of a worker."""

from fakes.fake_gate import UNSAID, FakeGate
from fakes.null_engine import NullEngine
from safelight.core.work import Finished, Ready, Run
from worker.players import job, play


def played(*jobs):
    gate = FakeGate()
    events = play(NullEngine(gates=[gate]), [Run(job=each) for each in jobs])
    return gate, events, {event.request_id: event.score for event in events if isinstance(event, Finished)}


def asking(request_id, prompt, gate="null-gate"):
    return job(request_id, model="null-small", prompt=prompt, gate=gate)


def test_a_worker_names_its_gates():
    gate, events, _ = played(asking("a", "a circle"))
    assert isinstance(events[0], Ready)
    assert events[0].gates == (gate.spec,)


def test_pictures_that_are_decoded_together_are_scored_together_each_by_its_prompt():
    gate, _, scores = played(asking("a", "a circle 0.25"), asking("b", "a square"))
    assert scores == {"a": 0.25, "b": UNSAID}
    assert [len(pictures) for pictures in gate.calls] == [2]


def test_only_a_job_that_names_a_gate_gets_a_score():
    gate, _, scores = played(asking("a", "a circle 0.25", gate=None))
    assert scores == {"a": None}
    assert gate.calls == []


def test_a_gate_that_is_missing_or_fails_leaves_the_picture_without_a_score():
    assert played(asking("a", "a circle", gate="unknown"))[2] == {"a": None}
    assert played(asking("a", "no score"))[2] == {"a": None}
