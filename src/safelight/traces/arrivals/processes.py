"""All arrival processes there are."""

from safelight.traces.arrivals.bursty import Bursty
from safelight.traces.arrivals.diurnal import Diurnal
from safelight.traces.arrivals.recorded import Recorded
from safelight.traces.arrivals.renewal import Constant, Gamma, Poisson

PROCESSES = (Constant, Poisson, Gamma, Bursty, Diurnal, Recorded)
