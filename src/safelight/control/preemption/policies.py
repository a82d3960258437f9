"""The preemption policies."""

from typing import Final

from safelight.control.preemption.forecast_gain import ForecastGain
from safelight.control.preemption.never import Never
from safelight.control.preemption.protocol import PreemptionPolicy

PREEMPTION_POLICIES: Final[tuple[PreemptionPolicy, ...]] = (ForecastGain(), Never())
