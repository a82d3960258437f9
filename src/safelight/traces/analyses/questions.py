"""The questions that need no more than a service's requests."""

from collections.abc import Mapping

from safelight.traces.analyses.arrivals import arrivals
from safelight.traces.analyses.burstiness import burstiness
from safelight.traces.analyses.by_service import Question
from safelight.traces.analyses.cooccurrence import cooccurrence
from safelight.traces.analyses.gaps import gaps
from safelight.traces.analyses.reuse import reuse
from safelight.traces.analyses.working_set import working_set

QUESTIONS: Mapping[str, Question] = {
    "arrivals": arrivals,
    "burstiness": burstiness,
    "gaps": gaps,
    "cooccurrence": cooccurrence,
    "working-set": working_set,
    "reuse": reuse,
}
