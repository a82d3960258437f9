"""What a response says of how its pictures were made."""

import msgspec
import pytest

from control.makers import LARGE, SMALL, finished, job, request, spec
from safelight.core.level import Route
from safelight.core.outcome import Outcome, StageOutcome
from safelight.server.provenance import usage_of
from safelight.service.pending import Delivery

MODELS = {LARGE: spec(LARGE), SMALL: msgspec.structs.replace(spec(SMALL), size_multiple=32)}


def delivery(model):
    """A picture of 64 x 64 pixels for which no model was asked."""
    asked = msgspec.structs.replace(request(), model=None)
    level = job(model=model).level
    outcome = Outcome(
        request=asked, route=Route(levels=(level,)), status="finished", stages=(StageOutcome(level=level),)
    )
    return Delivery(request=asked, finished=finished(asked.id), outcome=outcome)


@pytest.mark.parametrize(("model", "squares"), [(LARGE, 16), (SMALL, 4)])
def test_the_squares_of_a_picture_are_those_of_the_model_that_a_policy_chose(model, squares):
    assert usage_of([delivery(model)], MODELS).output_tokens == squares
