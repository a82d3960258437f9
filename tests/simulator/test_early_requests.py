"""Requests that arrive while no worker of their model is ready."""

from collections import Counter
from dataclasses import replace

import pytest

from safelight.core.errors import UnknownModel
from safelight.simulator.simulation import SimulatedModel
from simulator.makers import MODEL, changed, poisson, run, simulation, workers

OTHER = SimulatedModel(spec=changed(MODEL.spec, name="other"), profile=MODEL.profile)


def test_a_request_before_the_first_worker_is_ready_is_refused_as_by_a_server():
    requests = list(poisson(40, 4.0))
    counts, outcomes = run(simulation(workers=workers(1, startup_s=5.0), requests=requests))
    early = sum(request.arrived_s < 5.0 for request in requests)
    refused = [outcome for outcome in outcomes if outcome.status == "rejected"]
    assert (counts.ended, len(refused)) == (len(requests), early)
    assert Counter(outcome.reason for outcome in refused) == {"not_ready": early}


def test_a_request_for_a_model_whose_workers_start_later_is_refused_until_then():
    fleet = (*workers(1), replace(workers(1, model=OTHER, startup_s=5.0)[0], name="late"))
    asked = [changed(request, model="other") for request in poisson(40, 4.0)]
    _, outcomes = run(simulation(workers=fleet, requests=asked))
    assert [outcome.reason == "not_ready" for outcome in outcomes if outcome.request.arrived_s < 5.0] == [True] * sum(
        request.arrived_s < 5.0 for request in asked
    )
    assert {outcome.reason for outcome in outcomes if outcome.request.arrived_s >= 5.0} <= {"", "queue_full"}


def test_a_request_for_a_model_of_no_worker_is_an_error():
    asked = [changed(request, model="none") for request in poisson(1, 1.0)]
    with pytest.raises(UnknownModel):
        run(simulation(requests=asked))
